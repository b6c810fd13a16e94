# For fingers used to make; `python3 dev.py` is the front door and needs no make.
VERBS := run test bench lint lock doctor clean

.PHONY: $(VERBS)
$(VERBS):
	@python3 dev.py $@ $(ARGS)
