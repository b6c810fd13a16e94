"""Tables of the ledger in full: what was known of units, rights, the line for holds, lease terms.

Locks units and claims briefly (ACCESS EXCLUSIVE): the new columns have defaults that rewrite
nothing, save ``known_from``, which writes every unit once; a million units take some seconds.
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: NaN is greater than every number, and the day 'infinity' is no open end.
FINITE = (
    (
        "claims",
        "ck_claims_period_finite",
        "isfinite(lower(period)) AND (upper_inf(period) OR isfinite(upper(period)))",
    ),
    (
        "units",
        "ck_units_sizes_are_numbers",
        "capacity <> 'NaN' AND leasable_area_m2 <> 'NaN' AND internal_area_m2 <> 'NaN'",
    ),
    (
        "units",
        "ck_units_usable_finite",
        "isfinite(lower(usable)) AND (upper_inf(usable) OR isfinite(upper(usable)))",
    ),
)
OLD_KINDS = ("hold", "lease", "works", "reservation")
NEW_KINDS = ("hold", "lease", "works", "out_of_service", "clearing", "reservation")


def _set_claim_kinds(kinds: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.drop_constraint(op.f("ck_claims_kind_known"), "claims")
    op.create_check_constraint(op.f("ck_claims_kind_known"), "claims", f"kind IN ({listed})")


def upgrade() -> None:
    op.create_table(
        "lease_terms",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("commitment_id", sa.Uuid(), nullable=False),
        sa.Column(
            "terms",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="money as text: amounts are decimal",
        ),
        sa.Column("known", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("commitment_id"), "="),
            (sa.column("known"), "&&"),
            using="gist",
            name="ex_lease_terms_one_truth",
        ),
        sa.CheckConstraint(
            "NOT isempty(known) AND NOT lower_inf(known)",
            name=op.f("ck_lease_terms_known_has_start"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease_terms")),
    )
    op.create_table(
        "lease_events",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("commitment_id", sa.Uuid(), nullable=False),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("on_day", sa.Date(), nullable=False, comment="the day it is about"),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="since when it is known",
        ),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('extended', 'terminated', 'handed_over', 'handed_back', 'cleared')",
            name=op.f("ck_lease_events_kind_known"),
        ),
        sa.ForeignKeyConstraint(
            ["park_id"],
            ["parks.id"],
            name=op.f("fk_lease_events_park_id_parks"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease_events")),
    )
    op.create_index(
        "ix_lease_events_commitment_id", "lease_events", ["commitment_id"], unique=False
    )
    op.create_index(op.f("ix_lease_events_park_id"), "lease_events", ["park_id"], unique=False)
    op.create_table(
        "rights",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False, comment="权利人: the holder"),
        sa.Column(
            "rank",
            sa.SmallInteger(),
            nullable=False,
            comment="顺位: 1 is asked first; no two that meet share one",
        ),
        sa.Column(
            "binds",
            postgresql.DATERANGE(),
            nullable=False,
            comment="days of use that the right binds, half-open",
        ),
        sa.Column(
            "notice_days",
            sa.SmallInteger(),
            nullable=False,
            comment="答复期限: days the holder has to answer when asked",
        ),
        sa.Column(
            "commitment_id", sa.Uuid(), nullable=True, comment="the lease that the right is part of"
        ),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column(
            "known",
            postgresql.TSTZRANGE(),
            nullable=False,
            comment="when it was believed: granted until it ended",
        ),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('renewal', 'expansion', 'first_offer', 'first_refusal', 'must_take')",
            name=op.f("ck_rights_kind_known"),
        ),
        sa.CheckConstraint(
            "NOT isempty(binds) AND NOT lower_inf(binds)", name=op.f("ck_rights_binds_has_start")
        ),
        sa.CheckConstraint(
            "NOT isempty(known) AND NOT lower_inf(known)", name=op.f("ck_rights_known_has_start")
        ),
        sa.CheckConstraint("notice_days >= 0", name=op.f("ck_rights_notice_not_negative")),
        sa.CheckConstraint("rank > 0", name=op.f("ck_rights_rank_positive")),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_rights_company_id_companies"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["park_id"], ["parks.id"], name=op.f("fk_rights_park_id_parks"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rights")),
    )
    op.create_index(op.f("ix_rights_commitment_id"), "rights", ["commitment_id"], unique=False)
    op.create_index(op.f("ix_rights_company_id"), "rights", ["company_id"], unique=False)
    op.create_index(op.f("ix_rights_park_id"), "rights", ["park_id"], unique=False)
    op.create_table(
        "unit_events",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False, comment="first day on which it holds"),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="since when it is known",
        ),
        sa.Column("recorded_by", sa.Text(), nullable=False, comment="the actor who recorded it"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "changes",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="values before and after, by column",
        ),
        sa.CheckConstraint(
            "kind IN ('terms_changed', 'remeasured', 'split', 'merged')",
            name=op.f("ck_unit_events_kind_known"),
        ),
        sa.ForeignKeyConstraint(
            ["park_id"],
            ["parks.id"],
            name=op.f("fk_unit_events_park_id_parks"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit_events")),
    )
    op.create_index(op.f("ix_unit_events_park_id"), "unit_events", ["park_id"], unique=False)
    op.create_table(
        "queue_entries",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("space_request_id", sa.Uuid(), nullable=True),
        sa.Column(
            "period", postgresql.DATERANGE(), nullable=False, comment="days wanted, half-open"
        ),
        sa.Column(
            "offer_hours", sa.Integer(), nullable=False, comment="how long an offer to it stands"
        ),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("commitment_id", sa.Uuid(), nullable=True, comment="the hold it became"),
        sa.Column("joined_by", sa.Text(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('taken', 'withdrawn')", name=op.f("ck_queue_entries_outcome_known")
        ),
        sa.CheckConstraint(
            "(left_at IS NULL) = (outcome IS NULL) AND (left_at IS NULL) = (closed_by IS NULL)",
            name=op.f("ck_queue_entries_left_whole"),
        ),
        sa.CheckConstraint(
            "NOT isempty(period) AND NOT lower_inf(period)",
            name=op.f("ck_queue_entries_period_has_start"),
        ),
        sa.CheckConstraint("offer_hours > 0", name=op.f("ck_queue_entries_offer_positive")),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_queue_entries_company_id_companies"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["space_request_id"],
            ["space_requests.id"],
            name=op.f("fk_queue_entries_space_request_id_space_requests"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue_entries")),
    )
    op.create_index(
        op.f("ix_queue_entries_company_id"), "queue_entries", ["company_id"], unique=False
    )
    op.create_index(
        op.f("ix_queue_entries_space_request_id"),
        "queue_entries",
        ["space_request_id"],
        unique=False,
    )
    op.create_table(
        "right_notices",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("right_id", sa.Uuid(), nullable=False),
        sa.Column(
            "company_id",
            sa.Uuid(),
            nullable=True,
            comment="whom the space is to be offered to; null is anyone",
        ),
        sa.Column("period", postgresql.DATERANGE(), nullable=False, comment="days of use on offer"),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "due_on", sa.Date(), nullable=False, comment="last day for the answer, in Shanghai"
        ),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "reference", sa.Text(), nullable=True, comment="letter or minute that records it"
        ),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "answer IN ('waived', 'exercised')", name=op.f("ck_right_notices_answer_known")
        ),
        sa.CheckConstraint(
            "(answer IS NULL) = (answered_at IS NULL) AND (answer IS NULL) = (answered_by IS NULL)",
            name=op.f("ck_right_notices_answered_whole"),
        ),
        sa.CheckConstraint(
            "NOT isempty(period) AND NOT lower_inf(period)",
            name=op.f("ck_right_notices_period_has_start"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_right_notices_company_id_companies"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["right_id"],
            ["rights.id"],
            name=op.f("fk_right_notices_right_id_rights"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_right_notices")),
    )
    op.create_index(op.f("ix_right_notices_right_id"), "right_notices", ["right_id"], unique=False)
    op.create_table(
        "right_seniorities",
        sa.Column("junior_id", sa.Uuid(), nullable=False),
        sa.Column("senior_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["junior_id"],
            ["rights.id"],
            name=op.f("fk_right_seniorities_junior_id_rights"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["senior_id"],
            ["rights.id"],
            name=op.f("fk_right_seniorities_senior_id_rights"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("junior_id", "senior_id", name=op.f("pk_right_seniorities")),
    )
    op.create_index(
        op.f("ix_right_seniorities_senior_id"), "right_seniorities", ["senior_id"], unique=False
    )
    op.create_table(
        "right_clearances",
        sa.Column("commitment_id", sa.Uuid(), nullable=False),
        sa.Column("right_id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notice_id"],
            ["right_notices.id"],
            name=op.f("fk_right_clearances_notice_id_right_notices"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["right_id"],
            ["rights.id"],
            name=op.f("fk_right_clearances_right_id_rights"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint(
            "commitment_id", "right_id", "notice_id", name=op.f("pk_right_clearances")
        ),
    )
    op.create_index("ix_right_clearances_right_id", "right_clearances", ["right_id"], unique=False)
    op.create_geospatial_table(
        "right_footprints",
        sa.Column("right_id", sa.Uuid(), nullable=False),
        sa.Column("floor_id", sa.Uuid(), nullable=False),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
            comment="EPSG:4326, longitude latitude",
        ),
        sa.CheckConstraint(
            "ST_IsValid(geom) AND NOT ST_IsEmpty(geom)", name=op.f("ck_right_footprints_geom_valid")
        ),
        sa.ForeignKeyConstraint(
            ["floor_id"],
            ["floors.id"],
            name=op.f("fk_right_footprints_floor_id_floors"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["right_id"],
            ["rights.id"],
            name=op.f("fk_right_footprints_right_id_rights"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("right_id", "floor_id", name=op.f("pk_right_footprints")),
    )
    op.create_geospatial_index(
        "idx_right_footprints_geom",
        "right_footprints",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index(
        op.f("ix_right_footprints_floor_id"), "right_footprints", ["floor_id"], unique=False
    )
    op.create_table(
        "queue_wants",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column(
            "quantity",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="in the unit's own measure; null is all of it",
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_queue_wants_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["queue_entries.id"],
            name=op.f("fk_queue_wants_entry_id_queue_entries"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"],
            ["units.id"],
            name=op.f("fk_queue_wants_unit_id_units"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("entry_id", "unit_id", name=op.f("pk_queue_wants")),
    )
    op.create_index(op.f("ix_queue_wants_unit_id"), "queue_wants", ["unit_id"], unique=False)
    op.create_table(
        "unit_event_units",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False, comment="subject | parent | child"),
        sa.CheckConstraint(
            "part IN ('subject', 'parent', 'child')", name=op.f("ck_unit_event_units_part_known")
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["unit_events.id"],
            name=op.f("fk_unit_event_units_event_id_unit_events"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"],
            ["units.id"],
            name=op.f("fk_unit_event_units_unit_id_units"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("event_id", "unit_id", name=op.f("pk_unit_event_units")),
    )
    op.create_index(
        op.f("ix_unit_event_units_unit_id"), "unit_event_units", ["unit_id"], unique=False
    )
    op.create_geospatial_table(
        "unit_versions",
        sa.Column(
            "terms_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), nullable=False, comment="the unit"),
        sa.Column("fid", sa.BigInteger(), nullable=False),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        sa.Column("building_id", sa.Uuid(), nullable=False),
        sa.Column("floor_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "known",
            postgresql.TSTZRANGE(),
            nullable=False,
            comment="when it was believed, half-open",
        ),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("unit_type", sa.Text(), nullable=False),
        sa.Column("carrier_type", sa.Text(), nullable=True),
        sa.Column("physical_state", sa.Text(), nullable=False, comment="shell | fitted | …"),
        sa.Column(
            "usable",
            postgresql.DATERANGE(),
            nullable=False,
            comment="days on which the unit exists and may be used, half-open",
        ),
        sa.Column("capacity_measure", sa.Text(), nullable=False, comment="m2 | place"),
        sa.Column(
            "capacity",
            sa.Numeric(precision=14, scale=2),
            nullable=False,
            comment="in its own measure",
        ),
        sa.Column("divisible", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "min_part",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="smallest part that is let, in the unit's measure",
        ),
        sa.Column(
            "remainder_rule",
            sa.Text(),
            server_default=sa.text("'lettable'"),
            nullable=False,
            comment="余量规则: what a part may leave behind: lettable | any",
        ),
        sa.Column(
            "leasable_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=False,
            comment="计租面积",
        ),
        sa.Column(
            "internal_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=False,
            comment="套内建筑面积",
        ),
        sa.Column("area_method", sa.Text(), nullable=False, comment="how the areas were got"),
        sa.Column("area_measured_on", sa.Date(), nullable=True),
        sa.Column("area_tolerance_pct", sa.Numeric(precision=5, scale=2), nullable=True),
        sa.Column(
            "rent_cny_per_m2_day",
            sa.Numeric(precision=8, scale=4),
            nullable=True,
            comment="租金 元/㎡·天, on the leasable area, tax included",
        ),
        sa.Column(
            "rent_cny_per_place_month",
            sa.Numeric(precision=10, scale=2),
            nullable=True,
            comment="工位租金 元/位·月, tax included",
        ),
        sa.Column("min_term_months", sa.SmallInteger(), nullable=True, comment="最短租期"),
        sa.Column("max_term_months", sa.SmallInteger(), nullable=True, comment="最长租期"),
        sa.Column("is_ground_floor", sa.Boolean(), nullable=False),
        sa.Column(
            "clear_height_m", sa.Numeric(precision=5, scale=2), nullable=True, comment="净高"
        ),
        sa.Column(
            "floor_load_kn_m2",
            sa.Numeric(precision=6, scale=2),
            nullable=True,
            comment="楼面活荷载",
        ),
        sa.Column(
            "power_kva", sa.Numeric(precision=10, scale=1), nullable=True, comment="配电 kVA"
        ),
        sa.Column("power_density_w_m2", sa.Numeric(precision=8, scale=1), nullable=True),
        sa.Column("cleanroom_grade", sa.Text(), nullable=True, comment="A–D as fitted"),
        sa.Column("biosafety_level", sa.SmallInteger(), nullable=True, comment="BSL as fitted"),
        sa.Column(
            "fire_hazard_class", sa.Text(), nullable=True, comment="designed fire hazard class"
        ),
        sa.Column("waste_water_t_per_day", sa.Numeric(precision=8, scale=1), nullable=True),
        sa.Column("freight_lift_t", sa.Numeric(precision=5, scale=2), nullable=True),
        sa.Column("hoist_opening", sa.Boolean(), nullable=True),
        sa.Column("dual_power_feed", sa.Boolean(), nullable=True),
        sa.Column("steam", sa.Boolean(), nullable=True),
        sa.Column("gas", sa.Boolean(), nullable=True),
        sa.Column("purified_water", sa.Boolean(), nullable=True),
        sa.Column("animal_facility", sa.Text(), nullable=True),
        sa.Column("cold_storage_m2", sa.Numeric(precision=8, scale=1), nullable=True),
        sa.Column("isotope_class", sa.Text(), nullable=True),
        sa.Column("vibration_class", sa.Text(), nullable=True),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="POLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
            comment="EPSG:4326, longitude latitude",
        ),
        sa.Column(
            "geometric_area_m2",
            sa.Double(),
            sa.Computed("ST_Area(geom::geography)", persisted=True),
            nullable=False,
            comment="图上面积: geodesic area of geom, m²; never the legal area",
        ),
        sa.Column(
            "valid",
            postgresql.DATERANGE(),
            server_default=sa.text("'(,)'"),
            nullable=False,
            comment="days for which these facts hold, half-open; unbounded where they never change",
        ),
        sa.Column(
            "source_datum",
            sa.Text(),
            server_default="WGS84",
            nullable=False,
            comment="datum the geometry was given in, before conversion",
        ),
        sa.Column(
            "geometry_quality",
            sa.Text(),
            nullable=False,
            comment="surveyed | digitised | schematic",
        ),
        sa.Column(
            "position_accuracy_m",
            sa.Numeric(precision=10, scale=2),
            nullable=True,
            comment="how far off the position may be, metres",
        ),
        sa.Column(
            "source",
            sa.Text(),
            nullable=False,
            comment="来源: who published the facts, or which rule made them",
        ),
        sa.Column(
            "confidence", sa.Text(), nullable=False, comment="published | derived | assumption"
        ),
        sa.Column(
            "synthetic",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="made up for demonstration",
        ),
        postgresql.ExcludeConstraint(
            (sa.column("id"), "="),
            (sa.column("valid"), "&&"),
            (sa.column("known"), "&&"),
            using="gist",
            name="ex_unit_versions_one_truth",
        ),
        sa.CheckConstraint(
            "animal_facility IN ('conventional', 'spf')",
            name=op.f("ck_unit_versions_animal_facility_known"),
        ),
        sa.CheckConstraint(
            "capacity_measure <> 'm2' OR capacity = leasable_area_m2",
            name=op.f("ck_unit_versions_capacity_is_its_area"),
        ),
        sa.CheckConstraint(
            "capacity_measure IN ('m2', 'place')",
            name=op.f("ck_unit_versions_capacity_measure_known"),
        ),
        sa.CheckConstraint(
            "carrier_type IN ('maker_space', 'incubator', 'accelerator', 'open_innovation_centre', 'special_park')",
            name=op.f("ck_unit_versions_carrier_type_known"),
        ),
        sa.CheckConstraint(
            "cleanroom_grade IN ('A', 'B', 'C', 'D')",
            name=op.f("ck_unit_versions_cleanroom_grade_known"),
        ),
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_unit_versions_confidence_known"),
        ),
        sa.CheckConstraint(
            "fire_hazard_class IN ('jia', 'yi', 'bing', 'ding', 'wu')",
            name=op.f("ck_unit_versions_fire_hazard_class_known"),
        ),
        sa.CheckConstraint(
            "geometry_quality IN ('surveyed', 'digitised', 'schematic')",
            name=op.f("ck_unit_versions_geometry_quality_known"),
        ),
        sa.CheckConstraint(
            "isotope_class IN ('jia', 'yi', 'bing')",
            name=op.f("ck_unit_versions_isotope_class_known"),
        ),
        sa.CheckConstraint(
            "physical_state IN ('planned', 'under_construction', 'shell', 'fitted')",
            name=op.f("ck_unit_versions_physical_state_known"),
        ),
        sa.CheckConstraint(
            "remainder_rule IN ('lettable', 'any')",
            name=op.f("ck_unit_versions_remainder_rule_known"),
        ),
        sa.CheckConstraint(
            "source_datum IN ('WGS84', 'CGCS2000', 'GCJ02', 'BD09')",
            name=op.f("ck_unit_versions_source_datum_known"),
        ),
        sa.CheckConstraint(
            "unit_type IN ('incubation', 'acceleration', 'pilot', 'hq_rd', 'production')",
            name=op.f("ck_unit_versions_unit_type_known"),
        ),
        sa.CheckConstraint(
            "vibration_class IN ('VC-A', 'VC-B', 'VC-C', 'VC-D', 'VC-E')",
            name=op.f("ck_unit_versions_vibration_class_known"),
        ),
        sa.CheckConstraint(
            "NOT isempty(known) AND NOT lower_inf(known)",
            name=op.f("ck_unit_versions_known_has_start"),
        ),
        sa.CheckConstraint(
            "NOT isempty(usable) AND NOT lower_inf(usable)",
            name=op.f("ck_unit_versions_usable_has_start"),
        ),
        sa.CheckConstraint(
            "capacity <> 'NaN' AND leasable_area_m2 <> 'NaN' AND internal_area_m2 <> 'NaN'",
            name=op.f("ck_unit_versions_sizes_are_numbers"),
        ),
        sa.CheckConstraint(
            "isfinite(lower(usable)) AND (upper_inf(usable) OR isfinite(upper(usable)))",
            name=op.f("ck_unit_versions_usable_finite"),
        ),
        sa.CheckConstraint("NOT isempty(valid)", name=op.f("ck_unit_versions_valid_not_empty")),
        sa.CheckConstraint(
            "ST_IsValid(geom) AND NOT ST_IsEmpty(geom)", name=op.f("ck_unit_versions_geom_valid")
        ),
        sa.CheckConstraint(
            "biosafety_level BETWEEN 1 AND 4", name=op.f("ck_unit_versions_biosafety_level_known")
        ),
        sa.CheckConstraint("capacity > 0", name=op.f("ck_unit_versions_capacity_positive")),
        sa.CheckConstraint(
            "clear_height_m > 0 AND floor_load_kn_m2 > 0 AND power_kva >= 0 AND power_density_w_m2 >= 0 AND waste_water_t_per_day >= 0 AND freight_lift_t >= 0 AND cold_storage_m2 >= 0",
            name=op.f("ck_unit_versions_technical_values"),
        ),
        sa.CheckConstraint(
            "divisible = (min_part IS NOT NULL) AND min_part > 0 AND min_part <= capacity",
            name=op.f("ck_unit_versions_min_part"),
        ),
        sa.CheckConstraint(
            "leasable_area_m2 > 0 AND internal_area_m2 > 0 AND internal_area_m2 <= leasable_area_m2",
            name=op.f("ck_unit_versions_areas"),
        ),
        sa.CheckConstraint(
            "min_term_months > 0 AND max_term_months > 0 AND min_term_months <= max_term_months",
            name=op.f("ck_unit_versions_terms"),
        ),
        sa.CheckConstraint(
            "position_accuracy_m >= 0", name=op.f("ck_unit_versions_position_accuracy_not_negative")
        ),
        sa.CheckConstraint(
            "rent_cny_per_m2_day >= 0 AND rent_cny_per_place_month >= 0",
            name=op.f("ck_unit_versions_rent_not_negative"),
        ),
        sa.ForeignKeyConstraint(
            ["id"], ["units.id"], name=op.f("fk_unit_versions_id_units"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("terms_id", name=op.f("pk_unit_versions")),
    )
    op.create_geospatial_index(
        "idx_unit_versions_geom",
        "unit_versions",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index(
        op.f("ix_unit_versions_building_id"), "unit_versions", ["building_id"], unique=False
    )
    op.create_index(op.f("ix_unit_versions_code"), "unit_versions", ["code"], unique=False)
    op.create_index(op.f("ix_unit_versions_floor_id"), "unit_versions", ["floor_id"], unique=False)
    op.create_index(op.f("ix_unit_versions_id"), "unit_versions", ["id"], unique=False)
    op.create_index(op.f("ix_unit_versions_park_id"), "unit_versions", ["park_id"], unique=False)
    op.alter_column(
        "claims",
        "kind",
        existing_type=sa.TEXT(),
        comment="hold | lease | works | out_of_service | clearing | reservation",
        existing_comment="hold | lease | works | reservation",
        existing_nullable=False,
    )
    op.create_index(op.f("ix_claims_supersedes_id"), "claims", ["supersedes_id"], unique=False)
    op.add_column(
        "claims",
        sa.Column(
            "was_to_lapse_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="what live was to end at, where it was closed before",
        ),
    )
    op.create_check_constraint(
        op.f("ck_claims_lapse_kept_when_closed"),
        "claims",
        "was_to_lapse_at IS NULL OR closed_by IS NOT NULL AND upper(live) <= was_to_lapse_at",
    )
    op.add_column(
        "units",
        sa.Column(
            "known_from",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
            comment="since when the row is believed",
        ),
    )
    op.add_column(
        "units",
        sa.Column(
            "remainder_rule",
            sa.Text(),
            server_default=sa.text("'lettable'"),
            nullable=False,
            comment="余量规则: what a part may leave behind: lettable | any",
        ),
    )
    op.add_column(
        "units",
        sa.Column(
            "valid",
            postgresql.DATERANGE(),
            server_default=sa.text("'(,)'"),
            nullable=False,
            comment="days for which these facts hold, half-open; unbounded where they never change",
        ),
    )

    # With the code, so that the view's two tables merge in order, however many areas are equal.
    op.drop_index("ix_units_unit_type_leasable_area_m2", table_name="units")
    op.create_index(
        "ix_units_unit_type_leasable_area_m2_code",
        "units",
        ["unit_type", "leasable_area_m2", "code"],
    )
    # What a demonstration made up is known since ever, as its claims are.
    op.execute(
        "UPDATE units SET known_from = CASE WHEN synthetic THEN TIMESTAMPTZ '2000-01-01 00:00Z'"
        " ELSE created_at END"
    )
    op.create_check_constraint(
        op.f("ck_units_remainder_rule_known"), "units", "remainder_rule IN ('lettable', 'any')"
    )
    for table, name, rule in FINITE:
        op.create_check_constraint(op.f(name), table, rule)
    op.create_check_constraint(op.f("ck_units_valid_not_empty"), "units", "NOT isempty(valid)")
    _set_claim_kinds(NEW_KINDS)


def downgrade() -> None:
    # Claims of the new kinds cannot be told in the old words; so with some of them there is no way back.
    _set_claim_kinds(OLD_KINDS)
    op.drop_index("ix_units_unit_type_leasable_area_m2_code", table_name="units")
    op.create_index(
        "ix_units_unit_type_leasable_area_m2", "units", ["unit_type", "leasable_area_m2"]
    )
    for table, name, _ in FINITE:
        op.drop_constraint(op.f(name), table)
    op.drop_constraint(op.f("ck_units_valid_not_empty"), "units")
    op.drop_constraint(op.f("ck_units_remainder_rule_known"), "units")
    op.drop_column("units", "valid")
    op.drop_column("units", "remainder_rule")
    op.drop_column("units", "known_from")
    op.drop_constraint(op.f("ck_claims_lapse_kept_when_closed"), "claims")
    op.drop_column("claims", "was_to_lapse_at")
    op.drop_index(op.f("ix_claims_supersedes_id"), table_name="claims")
    op.alter_column(
        "claims",
        "kind",
        existing_type=sa.TEXT(),
        comment="hold | lease | works | reservation",
        existing_comment="hold | lease | works | out_of_service | clearing | reservation",
        existing_nullable=False,
    )
    op.drop_index(op.f("ix_unit_versions_park_id"), table_name="unit_versions")
    op.drop_index(op.f("ix_unit_versions_id"), table_name="unit_versions")
    op.drop_index(op.f("ix_unit_versions_floor_id"), table_name="unit_versions")
    op.drop_index(op.f("ix_unit_versions_code"), table_name="unit_versions")
    op.drop_index(op.f("ix_unit_versions_building_id"), table_name="unit_versions")
    op.drop_geospatial_index(
        "idx_unit_versions_geom",
        table_name="unit_versions",
        postgresql_using="gist",
        column_name="geom",
    )
    op.drop_geospatial_table("unit_versions")
    op.drop_index(op.f("ix_unit_event_units_unit_id"), table_name="unit_event_units")
    op.drop_table("unit_event_units")
    op.drop_index(op.f("ix_queue_wants_unit_id"), table_name="queue_wants")
    op.drop_table("queue_wants")
    op.drop_index(op.f("ix_right_footprints_floor_id"), table_name="right_footprints")
    op.drop_geospatial_index(
        "idx_right_footprints_geom",
        table_name="right_footprints",
        postgresql_using="gist",
        column_name="geom",
    )
    op.drop_geospatial_table("right_footprints")
    op.drop_index("ix_right_clearances_right_id", table_name="right_clearances")
    op.drop_table("right_clearances")
    op.drop_index(op.f("ix_right_seniorities_senior_id"), table_name="right_seniorities")
    op.drop_table("right_seniorities")
    op.drop_index(op.f("ix_right_notices_right_id"), table_name="right_notices")
    op.drop_table("right_notices")
    op.drop_index(op.f("ix_queue_entries_space_request_id"), table_name="queue_entries")
    op.drop_index(op.f("ix_queue_entries_company_id"), table_name="queue_entries")
    op.drop_table("queue_entries")
    op.drop_index(op.f("ix_unit_events_park_id"), table_name="unit_events")
    op.drop_table("unit_events")
    op.drop_index(op.f("ix_rights_park_id"), table_name="rights")
    op.drop_index(op.f("ix_rights_company_id"), table_name="rights")
    op.drop_index(op.f("ix_rights_commitment_id"), table_name="rights")
    op.drop_table("rights")
    op.drop_index(op.f("ix_lease_events_park_id"), table_name="lease_events")
    op.drop_index("ix_lease_events_commitment_id", table_name="lease_events")
    op.drop_table("lease_events")
    op.drop_table("lease_terms")
