"""Units of measure: conversions at the door. Inside, everything is SI."""

from decimal import Decimal

#: Standard gravity, m/s², turns published kg/m² into kN/m².
STANDARD_GRAVITY_M_S2 = Decimal("9.80665")


def kn_m2_from_kg_m2(load_kg_m2: Decimal) -> Decimal:
    """Floor load in kN/m² from the kg/m² that brochures quote.

    >>> kn_m2_from_kg_m2(Decimal(350))
    Decimal('3.43')
    """
    return (load_kg_m2 * STANDARD_GRAVITY_M_S2 / 1000).quantize(Decimal("0.01"))
