# Two stages: the first has pip and its cache, the second only what runs.
FROM python:3.13-slim AS build
WORKDIR /srv/space-relay
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY runtime.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r runtime.lock
COPY pyproject.toml README.md ./
COPY app ./app
# Editable, since the reference data and the migrations lie beside the package.
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps -e .

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SPACE_RELAY_HOME=/var/lib/space-relay \
    SPACE_RELAY_LOG_JSON=true \
    NUMBA_CACHE_DIR=/var/lib/space-relay/kernels
RUN useradd --system --uid 10001 --no-create-home space-relay \
    && install -d -o space-relay -g space-relay /var/lib/space-relay
WORKDIR /srv/space-relay
COPY --from=build /opt/venv /opt/venv
COPY alembic.ini pyproject.toml ./
COPY migrations ./migrations
COPY data ./data
COPY app ./app
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["space-relay", "serve", "--host", "0.0.0.0"]
