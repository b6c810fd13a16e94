"""Units of measure: conversions at the door, and annotated types with the unit in the name.

Inside, everything is SI. Factors are definitions, save 亩, which is 1/15 hectare by national rule.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

M2_PER_MU = Decimal(2000) / 3
M2_PER_WAN_M2 = Decimal(10_000)
M2_PER_KM2 = Decimal(1_000_000)
#: Standard gravity, m/s², turns published kg/m² into kN/m².
STANDARD_GRAVITY_M_S2 = Decimal("9.80665")

AreaM2 = Annotated[Decimal, Field(gt=0, max_digits=14, decimal_places=2)]
QuantityDecimal = Annotated[Decimal, Field(gt=0, max_digits=14, decimal_places=2)]


def kn_m2_from_kg_m2(load_kg_m2: Decimal) -> Decimal:
    """Floor load in kN/m² from the kg/m² that brochures quote.

    >>> kn_m2_from_kg_m2(Decimal(350))
    Decimal('3.43')
    """
    return (load_kg_m2 * STANDARD_GRAVITY_M_S2 / 1000).quantize(Decimal("0.01"))


def m2_from_mu(area_mu: Decimal) -> Decimal:
    """Square metres from 亩.

    >>> m2_from_mu(Decimal("39.6"))
    Decimal('26400.00')
    """
    return (area_mu * M2_PER_MU).quantize(Decimal("0.01"))
