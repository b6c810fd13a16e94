"""All tables of the first release.

Locks nothing that exists: it runs on an empty database, in well under a second.
"""

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# GB 32100-2015: weights are powers of 3 modulo 31 over the first 17 characters.
CREDIT_CODE_CHECK_DIGIT = """
CREATE FUNCTION credit_code_check_digit_holds(code text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    alphabet CONSTANT text := '0123456789ABCDEFGHJKLMNPQRTUWXY';
    weight int := 1;
    total int := 0;
BEGIN
    FOR place IN 1..17 LOOP
        total := total + weight * (strpos(alphabet, substr(code, place, 1)) - 1);
        weight := weight * 3 % 31;
    END LOOP;
    RETURN substr(alphabet, (31 - total % 31) % 31 + 1, 1) = substr(code, 18, 1);
END $$
"""


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.execute(CREDIT_CODE_CHECK_DIGIT)
    op.create_table(
        "companies",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column(
            "unified_social_credit_code",
            sa.Text(),
            nullable=False,
            comment="统一社会信用代码 (GB 32100), with its check digit",
        ),
        sa.Column(
            "special_goods_import_pilot",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="入境特殊物品试点单位",
        ),
        sa.Column("headcount_now", sa.Integer(), nullable=True),
        sa.Column("headcount_in_12_months", sa.Integer(), nullable=True),
        sa.Column("headcount_in_36_months", sa.Integer(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
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
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_companies_confidence_known"),
        ),
        sa.CheckConstraint(
            "unified_social_credit_code ~ '^[0-9A-HJ-NP-RTUWXY]{18}$'",
            name=op.f("ck_companies_credit_code_form"),
        ),
        sa.CheckConstraint(
            "credit_code_check_digit_holds(unified_social_credit_code)",
            name=op.f("ck_companies_credit_code_check_digit"),
        ),
        sa.CheckConstraint(
            "headcount_now >= 0 AND headcount_in_12_months >= 0 AND headcount_in_36_months >= 0",
            name=op.f("ck_companies_headcount_not_negative"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_companies")),
        sa.UniqueConstraint(
            "unified_social_credit_code", name=op.f("uq_companies_unified_social_credit_code")
        ),
    )
    op.create_table(
        "idempotent_answers",
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False, comment="method and path"),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_idempotent_answers")),
    )
    op.create_index(
        op.f("ix_idempotent_answers_created_at"), "idempotent_answers", ["created_at"], unique=False
    )
    op.create_table(
        "reference_loads",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=True),
        sa.Column("totals", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reference_loads")),
    )
    op.create_geospatial_table(
        "zones",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "fid",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="stable number for GIS tools",
        ),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("layout_role", sa.Text(), nullable=False, comment="core | specialised | special"),
        sa.Column("seq", sa.SmallInteger(), nullable=False, comment="order of display"),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("district", sa.Text(), nullable=False, comment="行政区"),
        sa.Column(
            "management_area",
            sa.Text(),
            nullable=True,
            comment="管理区域, where it is not the district",
        ),
        sa.Column(
            "focus_sectors", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "published_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="公布面积",
        ),
        sa.Column("published_area_note", sa.Text(), nullable=True),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
            comment="EPSG:4326, longitude latitude",
        ),
        sa.Column(
            "geometric_area_m2",
            sa.Double(),
            sa.Computed("ST_Area(geom::geography)", persisted=True),
            nullable=True,
            comment="图上面积: geodesic area of geom, m²; never the legal area",
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
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_zones_confidence_known"),
        ),
        sa.CheckConstraint(
            "geometry_quality IN ('surveyed', 'digitised', 'schematic')",
            name=op.f("ck_zones_geometry_quality_known"),
        ),
        sa.CheckConstraint(
            "layout_role IN ('core', 'specialised', 'special')",
            name=op.f("ck_zones_layout_role_known"),
        ),
        sa.CheckConstraint(
            "source_datum IN ('WGS84', 'CGCS2000', 'GCJ02', 'BD09')",
            name=op.f("ck_zones_source_datum_known"),
        ),
        sa.CheckConstraint(
            "geom IS NULL OR (ST_IsValid(geom) AND NOT ST_IsEmpty(geom))",
            name=op.f("ck_zones_geom_valid"),
        ),
        sa.CheckConstraint(
            "position_accuracy_m >= 0", name=op.f("ck_zones_position_accuracy_not_negative")
        ),
        sa.CheckConstraint("published_area_m2 > 0", name=op.f("ck_zones_published_area_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zones")),
        sa.UniqueConstraint("code", name=op.f("uq_zones_code")),
        sa.UniqueConstraint("fid", name=op.f("uq_zones_fid")),
    )
    op.create_geospatial_index(
        "idx_zones_geom",
        "zones",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_table(
        "credentials",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False, comment="the public part of the credential"),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="staff | firm"),
        sa.Column(
            "role", sa.Text(), nullable=True, comment="viewer | agent | manager | admin, for staff"
        ),
        sa.Column("company_id", sa.Uuid(), nullable=True, comment="for a firm's key"),
        sa.Column(
            "park_ids",
            sa.ARRAY(sa.Uuid()),
            nullable=True,
            comment="parks a staff token is for; null means all",
        ),
        sa.Column("scopes", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(kind = 'firm') = (company_id IS NOT NULL)",
            name=op.f("ck_credentials_firm_has_company"),
        ),
        sa.CheckConstraint(
            "(kind = 'staff') = (role IS NOT NULL)", name=op.f("ck_credentials_staff_has_role")
        ),
        sa.CheckConstraint("kind IN ('staff', 'firm')", name=op.f("ck_credentials_kind_known")),
        sa.CheckConstraint(
            "role IN ('viewer', 'agent', 'manager', 'admin')",
            name=op.f("ck_credentials_role_known"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_credentials_company_id_companies"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
        sa.UniqueConstraint("key_id", name=op.f("uq_credentials_key_id")),
    )
    op.create_index(op.f("ix_credentials_company_id"), "credentials", ["company_id"], unique=False)
    op.create_geospatial_table(
        "parks",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "fid",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="stable number for GIS tools",
        ),
        sa.Column("zone_id", sa.Uuid(), nullable=False),
        sa.Column("parent_park_id", sa.Uuid(), nullable=True, comment="the park it lies in"),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("layout_role", sa.Text(), nullable=False, comment="core | specialised | special"),
        sa.Column("carrier_type", sa.Text(), nullable=False),
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("management_area", sa.Text(), nullable=True),
        sa.Column(
            "focus_sectors", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "published_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="公布占地面积",
        ),
        sa.Column("published_area_note", sa.Text(), nullable=True),
        sa.Column(
            "planned_floor_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="规划建筑面积",
        ),
        sa.Column("boundary_east", sa.Text(), nullable=True, comment="东至"),
        sa.Column("boundary_south", sa.Text(), nullable=True, comment="南至"),
        sa.Column("boundary_west", sa.Text(), nullable=True, comment="西至"),
        sa.Column("boundary_north", sa.Text(), nullable=True, comment="北至"),
        sa.Column(
            "special_goods_import_pilot",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="入境特殊物品试点",
        ),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
            comment="EPSG:4326, longitude latitude",
        ),
        sa.Column(
            "geometric_area_m2",
            sa.Double(),
            sa.Computed("ST_Area(geom::geography)", persisted=True),
            nullable=True,
            comment="图上面积: geodesic area of geom, m²; never the legal area",
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
        sa.CheckConstraint(
            "carrier_type IN ('maker_space', 'incubator', 'accelerator', 'open_innovation_centre', 'special_park')",
            name=op.f("ck_parks_carrier_type_known"),
        ),
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_parks_confidence_known"),
        ),
        sa.CheckConstraint(
            "geometry_quality IN ('surveyed', 'digitised', 'schematic')",
            name=op.f("ck_parks_geometry_quality_known"),
        ),
        sa.CheckConstraint(
            "layout_role IN ('core', 'specialised', 'special')",
            name=op.f("ck_parks_layout_role_known"),
        ),
        sa.CheckConstraint(
            "source_datum IN ('WGS84', 'CGCS2000', 'GCJ02', 'BD09')",
            name=op.f("ck_parks_source_datum_known"),
        ),
        sa.CheckConstraint(
            "geom IS NULL OR (ST_IsValid(geom) AND NOT ST_IsEmpty(geom))",
            name=op.f("ck_parks_geom_valid"),
        ),
        sa.CheckConstraint("parent_park_id <> id", name=op.f("ck_parks_not_in_itself")),
        sa.CheckConstraint(
            "planned_floor_area_m2 > 0", name=op.f("ck_parks_planned_floor_area_positive")
        ),
        sa.CheckConstraint(
            "position_accuracy_m >= 0", name=op.f("ck_parks_position_accuracy_not_negative")
        ),
        sa.CheckConstraint("published_area_m2 > 0", name=op.f("ck_parks_published_area_positive")),
        sa.ForeignKeyConstraint(
            ["parent_park_id"],
            ["parks.id"],
            name=op.f("fk_parks_parent_park_id_parks"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["zones.id"], name=op.f("fk_parks_zone_id_zones"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parks")),
        sa.UniqueConstraint("code", name=op.f("uq_parks_code")),
        sa.UniqueConstraint("fid", name=op.f("uq_parks_fid")),
    )
    op.create_geospatial_index(
        "idx_parks_geom",
        "parks",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index(op.f("ix_parks_parent_park_id"), "parks", ["parent_park_id"], unique=False)
    op.create_index(op.f("ix_parks_zone_id"), "parks", ["zone_id"], unique=False)
    op.create_table(
        "pipeline_assets",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("indication", sa.Text(), nullable=True, comment="适应症"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
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
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_pipeline_assets_confidence_known"),
        ),
        sa.CheckConstraint(
            "modality IN ('small_molecule', 'antibody', 'adc', 'car_t', 'gene_therapy', 'mrna_oligo', 'vaccine', 'synthetic_biology', 'device', 'ivd', 'surgical_robot', 'ai_drug_discovery', 'cdmo')",
            name=op.f("ck_pipeline_assets_modality_known"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_pipeline_assets_company_id_companies"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline_assets")),
        sa.UniqueConstraint("company_id", "name", name=op.f("uq_pipeline_assets_company_id_name")),
    )
    op.create_index(
        op.f("ix_pipeline_assets_company_id"), "pipeline_assets", ["company_id"], unique=False
    )
    op.create_geospatial_table(
        "parcels",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "fid",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="stable number for GIS tools",
        ),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column(
            "land_use_code",
            sa.Text(),
            nullable=False,
            comment="规划用地性质, e.g. M1, M2, M4, C65, M1/M4",
        ),
        sa.Column(
            "land_use_code_national", sa.Text(), nullable=True, comment="国土空间用地用海分类"
        ),
        sa.Column(
            "published_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="公布用地面积",
        ),
        sa.Column(
            "floor_area_ratio_max",
            sa.Numeric(precision=5, scale=2),
            nullable=True,
            comment="容积率上限",
        ),
        sa.Column(
            "building_density_max_pct",
            sa.Numeric(precision=5, scale=2),
            nullable=True,
            comment="建筑密度上限 %",
        ),
        sa.Column(
            "green_ratio_min_pct",
            sa.Numeric(precision=5, scale=2),
            nullable=True,
            comment="绿地率 %",
        ),
        sa.Column(
            "height_limit_m", sa.Numeric(precision=6, scale=2), nullable=True, comment="限高 m"
        ),
        sa.Column(
            "mix_ratio_max_pct",
            sa.Numeric(precision=5, scale=2),
            nullable=True,
            comment="混合比例: share of other compatible uses, %",
        ),
        sa.Column(
            "tenure", sa.Text(), nullable=False, comment="grant | flexible_grant | lease | reserve"
        ),
        sa.Column("tenure_years", sa.SmallInteger(), nullable=True, comment="出让年限"),
        sa.Column(
            "grade", sa.Text(), nullable=True, comment="A–D of the land performance evaluation"
        ),
        sa.Column("grade_year", sa.SmallInteger(), nullable=True),
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
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_parcels_confidence_known"),
        ),
        sa.CheckConstraint(
            "geometry_quality IN ('surveyed', 'digitised', 'schematic')",
            name=op.f("ck_parcels_geometry_quality_known"),
        ),
        sa.CheckConstraint("grade IN ('A', 'B', 'C', 'D')", name=op.f("ck_parcels_grade_known")),
        sa.CheckConstraint(
            "source_datum IN ('WGS84', 'CGCS2000', 'GCJ02', 'BD09')",
            name=op.f("ck_parcels_source_datum_known"),
        ),
        sa.CheckConstraint(
            "tenure IN ('grant', 'flexible_grant', 'lease', 'reserve')",
            name=op.f("ck_parcels_tenure_known"),
        ),
        sa.CheckConstraint(
            "ST_IsValid(geom) AND NOT ST_IsEmpty(geom)", name=op.f("ck_parcels_geom_valid")
        ),
        sa.CheckConstraint(
            "building_density_max_pct BETWEEN 0 AND 100 AND green_ratio_min_pct BETWEEN 0 AND 100 AND mix_ratio_max_pct BETWEEN 0 AND 100",
            name=op.f("ck_parcels_percentages"),
        ),
        sa.CheckConstraint(
            "floor_area_ratio_max > 0", name=op.f("ck_parcels_floor_area_ratio_positive")
        ),
        sa.CheckConstraint("height_limit_m > 0", name=op.f("ck_parcels_height_limit_positive")),
        sa.CheckConstraint(
            "position_accuracy_m >= 0", name=op.f("ck_parcels_position_accuracy_not_negative")
        ),
        sa.CheckConstraint(
            "published_area_m2 > 0", name=op.f("ck_parcels_published_area_positive")
        ),
        sa.ForeignKeyConstraint(
            ["park_id"], ["parks.id"], name=op.f("fk_parcels_park_id_parks"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parcels")),
        sa.UniqueConstraint("code", name=op.f("uq_parcels_code")),
        sa.UniqueConstraint("fid", name=op.f("uq_parcels_fid")),
    )
    op.create_geospatial_index(
        "idx_parcels_geom",
        "parcels",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index(op.f("ix_parcels_park_id"), "parcels", ["park_id"], unique=False)
    op.create_geospatial_table(
        "park_blocks",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.SmallInteger(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("published_area_m2", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("boundary_east", sa.Text(), nullable=True, comment="东至"),
        sa.Column("boundary_south", sa.Text(), nullable=True, comment="南至"),
        sa.Column("boundary_west", sa.Text(), nullable=True, comment="西至"),
        sa.Column("boundary_north", sa.Text(), nullable=True, comment="北至"),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="POLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
            comment="EPSG:4326, longitude latitude",
        ),
        sa.Column(
            "geometric_area_m2",
            sa.Double(),
            sa.Computed("ST_Area(geom::geography)", persisted=True),
            nullable=True,
            comment="图上面积: geodesic area of geom, m²; never the legal area",
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
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_park_blocks_confidence_known"),
        ),
        sa.CheckConstraint(
            "geometry_quality IN ('surveyed', 'digitised', 'schematic')",
            name=op.f("ck_park_blocks_geometry_quality_known"),
        ),
        sa.CheckConstraint(
            "source_datum IN ('WGS84', 'CGCS2000', 'GCJ02', 'BD09')",
            name=op.f("ck_park_blocks_source_datum_known"),
        ),
        sa.CheckConstraint(
            "geom IS NULL OR (ST_IsValid(geom) AND NOT ST_IsEmpty(geom))",
            name=op.f("ck_park_blocks_geom_valid"),
        ),
        sa.CheckConstraint(
            "position_accuracy_m >= 0", name=op.f("ck_park_blocks_position_accuracy_not_negative")
        ),
        sa.CheckConstraint(
            "published_area_m2 > 0", name=op.f("ck_park_blocks_published_area_positive")
        ),
        sa.ForeignKeyConstraint(
            ["park_id"],
            ["parks.id"],
            name=op.f("fk_park_blocks_park_id_parks"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_park_blocks")),
        sa.UniqueConstraint("park_id", "seq", name=op.f("uq_park_blocks_park_id_seq")),
    )
    op.create_geospatial_index(
        "idx_park_blocks_geom",
        "park_blocks",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_table(
        "pipeline_stage_entries",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("pipeline_asset_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("entered_on", sa.Date(), nullable=False),
        sa.Column(
            "expected",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="a target date, not yet a fact",
        ),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "stage IN ('discovery', 'preclinical', 'ind', 'phase_1', 'phase_2', 'phase_3', 'nda', 'marketed')",
            name=op.f("ck_pipeline_stage_entries_stage_known"),
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_asset_id"],
            ["pipeline_assets.id"],
            name=op.f("fk_pipeline_stage_entries_pipeline_asset_id_pipeline_assets"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline_stage_entries")),
    )
    op.create_index(
        op.f("ix_pipeline_stage_entries_pipeline_asset_id"),
        "pipeline_stage_entries",
        ["pipeline_asset_id"],
        unique=False,
    )
    op.create_table(
        "programmes",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("parent_programme_id", sa.Uuid(), nullable=True),
        sa.Column("park_id", sa.Uuid(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("seq", sa.SmallInteger(), nullable=False),
        sa.Column(
            "target_floor_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="目标/公布建筑面积",
        ),
        sa.Column(
            "published_lettable_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="公布可租面积",
        ),
        sa.Column(
            "published_land_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="公布用地面积",
        ),
        sa.Column("published_building_count", sa.SmallInteger(), nullable=True),
        sa.Column(
            "published_investment_cny",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="公布投资额 元",
        ),
        sa.Column("note_zh", sa.Text(), nullable=True),
        sa.Column("note_en", sa.Text(), nullable=True),
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
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_programmes_confidence_known"),
        ),
        sa.CheckConstraint("parent_programme_id <> id", name=op.f("ck_programmes_not_in_itself")),
        sa.CheckConstraint(
            "target_floor_area_m2 > 0 AND published_lettable_area_m2 > 0 AND published_land_area_m2 > 0 AND published_building_count > 0 AND published_investment_cny > 0",
            name=op.f("ck_programmes_figures_positive"),
        ),
        sa.ForeignKeyConstraint(
            ["parent_programme_id"],
            ["programmes.id"],
            name=op.f("fk_programmes_parent_programme_id_programmes"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["park_id"], ["parks.id"], name=op.f("fk_programmes_park_id_parks"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_programmes")),
        sa.UniqueConstraint("code", name=op.f("uq_programmes_code")),
    )
    op.create_index(
        op.f("ix_programmes_parent_programme_id"),
        "programmes",
        ["parent_programme_id"],
        unique=False,
    )
    op.create_index(op.f("ix_programmes_park_id"), "programmes", ["park_id"], unique=False)
    op.create_table(
        "space_requests",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("pipeline_asset_id", sa.Uuid(), nullable=True),
        sa.Column("unit_type", sa.Text(), nullable=False),
        sa.Column(
            "stated",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="the firm's form, as given",
        ),
        sa.Column(
            "needs",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="every need with its value, hardness and provenance",
        ),
        sa.Column("rules_version", sa.Text(), nullable=False, comment="version of the needs table"),
        sa.Column(
            "state",
            sa.Text(),
            server_default="open",
            nullable=False,
            comment="open | placed | withdrawn",
        ),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state IN ('open', 'placed', 'withdrawn')", name=op.f("ck_space_requests_state_known")
        ),
        sa.CheckConstraint(
            "unit_type IN ('incubation', 'acceleration', 'pilot', 'hq_rd', 'production')",
            name=op.f("ck_space_requests_unit_type_known"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_space_requests_company_id_companies"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_asset_id"],
            ["pipeline_assets.id"],
            name=op.f("fk_space_requests_pipeline_asset_id_pipeline_assets"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_space_requests")),
    )
    op.create_index(
        op.f("ix_space_requests_company_id"), "space_requests", ["company_id"], unique=False
    )
    op.create_index(
        op.f("ix_space_requests_pipeline_asset_id"),
        "space_requests",
        ["pipeline_asset_id"],
        unique=False,
    )
    op.create_geospatial_table(
        "buildings",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "fid",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="stable number for GIS tools",
        ),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        sa.Column("parcel_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("carrier_type", sa.Text(), nullable=True),
        sa.Column("physical_state", sa.Text(), nullable=False),
        sa.Column("delivered_on", sa.Date(), nullable=True, comment="交付日期, planned or actual"),
        sa.Column(
            "gross_floor_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=False,
            comment="建筑面积, = sum of its floors",
        ),
        sa.Column("floors_above", sa.SmallInteger(), nullable=False),
        sa.Column("floors_below", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("height_m", sa.Numeric(precision=6, scale=2), nullable=True),
        sa.Column(
            "power_capacity_kva",
            sa.Numeric(precision=10, scale=1),
            nullable=True,
            comment="配电容量",
        ),
        sa.Column("dual_power_feed", sa.Boolean(), nullable=True, comment="双回路供电"),
        sa.Column(
            "freight_lift_t", sa.Numeric(precision=5, scale=2), nullable=True, comment="货梯载重 t"
        ),
        sa.Column("hoist_opening", sa.Boolean(), nullable=True, comment="吊装口"),
        sa.Column("steam", sa.Boolean(), nullable=True, comment="蒸汽"),
        sa.Column("gas", sa.Boolean(), nullable=True, comment="燃气"),
        sa.Column("purified_water", sa.Boolean(), nullable=True, comment="纯化水/注射用水"),
        sa.Column(
            "waste_water_t_per_day",
            sa.Numeric(precision=8, scale=1),
            nullable=True,
            comment="污水处理能力 t/d",
        ),
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
        sa.CheckConstraint(
            "carrier_type IN ('maker_space', 'incubator', 'accelerator', 'open_innovation_centre', 'special_park')",
            name=op.f("ck_buildings_carrier_type_known"),
        ),
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_buildings_confidence_known"),
        ),
        sa.CheckConstraint(
            "geometry_quality IN ('surveyed', 'digitised', 'schematic')",
            name=op.f("ck_buildings_geometry_quality_known"),
        ),
        sa.CheckConstraint(
            "physical_state IN ('planned', 'under_construction', 'shell', 'fitted')",
            name=op.f("ck_buildings_physical_state_known"),
        ),
        sa.CheckConstraint(
            "source_datum IN ('WGS84', 'CGCS2000', 'GCJ02', 'BD09')",
            name=op.f("ck_buildings_source_datum_known"),
        ),
        sa.CheckConstraint(
            "ST_IsValid(geom) AND NOT ST_IsEmpty(geom)", name=op.f("ck_buildings_geom_valid")
        ),
        sa.CheckConstraint(
            "floors_above > 0 AND floors_below >= 0", name=op.f("ck_buildings_floors_counted")
        ),
        sa.CheckConstraint(
            "gross_floor_area_m2 > 0", name=op.f("ck_buildings_gross_floor_area_positive")
        ),
        sa.CheckConstraint(
            "height_m > 0 AND power_capacity_kva >= 0 AND freight_lift_t >= 0 AND waste_water_t_per_day >= 0",
            name=op.f("ck_buildings_services_not_negative"),
        ),
        sa.CheckConstraint(
            "position_accuracy_m >= 0", name=op.f("ck_buildings_position_accuracy_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["parcel_id"],
            ["parcels.id"],
            name=op.f("fk_buildings_parcel_id_parcels"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["park_id"], ["parks.id"], name=op.f("fk_buildings_park_id_parks"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buildings")),
        sa.UniqueConstraint("code", name=op.f("uq_buildings_code")),
        sa.UniqueConstraint("fid", name=op.f("uq_buildings_fid")),
    )
    op.create_geospatial_index(
        "idx_buildings_geom",
        "buildings",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index(op.f("ix_buildings_parcel_id"), "buildings", ["parcel_id"], unique=False)
    op.create_index(op.f("ix_buildings_park_id"), "buildings", ["park_id"], unique=False)
    op.create_table(
        "programme_milestones",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("programme_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.SmallInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column(
            "floor_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=True,
            comment="floor area that took this step",
        ),
        sa.Column("planned_on", sa.Date(), nullable=True),
        sa.Column("actual_on", sa.Date(), nullable=True),
        sa.Column(
            "date_precision", sa.Text(), nullable=False, comment="day | month | quarter | year"
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
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_programme_milestones_confidence_known"),
        ),
        sa.CheckConstraint(
            "date_precision IN ('day', 'month', 'quarter', 'year')",
            name=op.f("ck_programme_milestones_date_precision_known"),
        ),
        sa.CheckConstraint(
            "step IN ('planned', 'land_acquired', 'started', 'topped_out', 'completed', 'accepted', 'handed_over', 'in_production')",
            name=op.f("ck_programme_milestones_step_known"),
        ),
        sa.CheckConstraint(
            "floor_area_m2 > 0", name=op.f("ck_programme_milestones_floor_area_positive")
        ),
        sa.CheckConstraint(
            "planned_on IS NOT NULL OR actual_on IS NOT NULL",
            name=op.f("ck_programme_milestones_has_a_date"),
        ),
        sa.ForeignKeyConstraint(
            ["programme_id"],
            ["programmes.id"],
            name=op.f("fk_programme_milestones_programme_id_programmes"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_programme_milestones")),
        sa.UniqueConstraint(
            "programme_id", "seq", name=op.f("uq_programme_milestones_programme_id_seq")
        ),
    )
    op.create_geospatial_table(
        "floors",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "fid",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="stable number for GIS tools",
        ),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        sa.Column("building_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column(
            "level_index", sa.SmallInteger(), nullable=False, comment="sorts: 0 is the ground floor"
        ),
        sa.Column("level_name", sa.Text(), nullable=False, comment="shows: 1F, 2F, B1"),
        sa.Column(
            "gross_floor_area_m2",
            sa.Numeric(precision=14, scale=2),
            nullable=False,
            comment="本层建筑面积",
        ),
        sa.Column(
            "storey_height_m", sa.Numeric(precision=5, scale=2), nullable=True, comment="层高"
        ),
        sa.Column(
            "clear_height_m", sa.Numeric(precision=5, scale=2), nullable=True, comment="净高"
        ),
        sa.Column(
            "floor_load_kn_m2",
            sa.Numeric(precision=6, scale=2),
            nullable=True,
            comment="楼面活荷载 kN/m²",
        ),
        sa.Column(
            "published_floor_load_kg_m2",
            sa.Numeric(precision=8, scale=1),
            nullable=True,
            comment="公布荷载 kg/m²",
        ),
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
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_floors_confidence_known"),
        ),
        sa.CheckConstraint(
            "geometry_quality IN ('surveyed', 'digitised', 'schematic')",
            name=op.f("ck_floors_geometry_quality_known"),
        ),
        sa.CheckConstraint(
            "source_datum IN ('WGS84', 'CGCS2000', 'GCJ02', 'BD09')",
            name=op.f("ck_floors_source_datum_known"),
        ),
        sa.CheckConstraint(
            "ST_IsValid(geom) AND NOT ST_IsEmpty(geom)", name=op.f("ck_floors_geom_valid")
        ),
        sa.CheckConstraint("floor_load_kn_m2 > 0", name=op.f("ck_floors_floor_load_positive")),
        sa.CheckConstraint(
            "gross_floor_area_m2 > 0", name=op.f("ck_floors_gross_floor_area_positive")
        ),
        sa.CheckConstraint(
            "position_accuracy_m >= 0", name=op.f("ck_floors_position_accuracy_not_negative")
        ),
        sa.CheckConstraint(
            "storey_height_m > 0 AND clear_height_m > 0 AND clear_height_m <= storey_height_m",
            name=op.f("ck_floors_heights"),
        ),
        sa.ForeignKeyConstraint(
            ["building_id"],
            ["buildings.id"],
            name=op.f("fk_floors_building_id_buildings"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["park_id"], ["parks.id"], name=op.f("fk_floors_park_id_parks"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_floors")),
        sa.UniqueConstraint(
            "building_id", "level_index", name=op.f("uq_floors_building_id_level_index")
        ),
        sa.UniqueConstraint("code", name=op.f("uq_floors_code")),
        sa.UniqueConstraint("fid", name=op.f("uq_floors_fid")),
    )
    op.create_geospatial_index(
        "idx_floors_geom",
        "floors",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index(op.f("ix_floors_park_id"), "floors", ["park_id"], unique=False)
    op.create_table(
        "programme_buildings",
        sa.Column("programme_id", sa.Uuid(), nullable=False),
        sa.Column("building_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["building_id"],
            ["buildings.id"],
            name=op.f("fk_programme_buildings_building_id_buildings"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["programme_id"],
            ["programmes.id"],
            name=op.f("fk_programme_buildings_programme_id_programmes"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("programme_id", "building_id", name=op.f("pk_programme_buildings")),
    )
    op.create_index(
        op.f("ix_programme_buildings_building_id"),
        "programme_buildings",
        ["building_id"],
        unique=False,
    )
    op.create_geospatial_table(
        "units",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "fid",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="stable number for GIS tools",
        ),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        sa.Column("building_id", sa.Uuid(), nullable=False),
        sa.Column("floor_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False, comment="一房一码: never changes its meaning"),
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
            "version",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="bumped by every claim and every edit",
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
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
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
        sa.CheckConstraint(
            "animal_facility IN ('conventional', 'spf')",
            name=op.f("ck_units_animal_facility_known"),
        ),
        sa.CheckConstraint(
            "capacity_measure <> 'm2' OR capacity = leasable_area_m2",
            name=op.f("ck_units_capacity_is_its_area"),
        ),
        sa.CheckConstraint(
            "capacity_measure IN ('m2', 'place')", name=op.f("ck_units_capacity_measure_known")
        ),
        sa.CheckConstraint(
            "carrier_type IN ('maker_space', 'incubator', 'accelerator', 'open_innovation_centre', 'special_park')",
            name=op.f("ck_units_carrier_type_known"),
        ),
        sa.CheckConstraint(
            "cleanroom_grade IN ('A', 'B', 'C', 'D')", name=op.f("ck_units_cleanroom_grade_known")
        ),
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_units_confidence_known"),
        ),
        sa.CheckConstraint(
            "fire_hazard_class IN ('jia', 'yi', 'bing', 'ding', 'wu')",
            name=op.f("ck_units_fire_hazard_class_known"),
        ),
        sa.CheckConstraint(
            "geometry_quality IN ('surveyed', 'digitised', 'schematic')",
            name=op.f("ck_units_geometry_quality_known"),
        ),
        sa.CheckConstraint(
            "isotope_class IN ('jia', 'yi', 'bing')", name=op.f("ck_units_isotope_class_known")
        ),
        sa.CheckConstraint(
            "physical_state IN ('planned', 'under_construction', 'shell', 'fitted')",
            name=op.f("ck_units_physical_state_known"),
        ),
        sa.CheckConstraint(
            "source_datum IN ('WGS84', 'CGCS2000', 'GCJ02', 'BD09')",
            name=op.f("ck_units_source_datum_known"),
        ),
        sa.CheckConstraint(
            "unit_type IN ('incubation', 'acceleration', 'pilot', 'hq_rd', 'production')",
            name=op.f("ck_units_unit_type_known"),
        ),
        sa.CheckConstraint(
            "vibration_class IN ('VC-A', 'VC-B', 'VC-C', 'VC-D', 'VC-E')",
            name=op.f("ck_units_vibration_class_known"),
        ),
        sa.CheckConstraint(
            "NOT isempty(usable) AND NOT lower_inf(usable)", name=op.f("ck_units_usable_has_start")
        ),
        sa.CheckConstraint(
            "ST_IsValid(geom) AND NOT ST_IsEmpty(geom)", name=op.f("ck_units_geom_valid")
        ),
        sa.CheckConstraint(
            "biosafety_level BETWEEN 1 AND 4", name=op.f("ck_units_biosafety_level_known")
        ),
        sa.CheckConstraint("capacity > 0", name=op.f("ck_units_capacity_positive")),
        sa.CheckConstraint(
            "clear_height_m > 0 AND floor_load_kn_m2 > 0 AND power_kva >= 0 AND power_density_w_m2 >= 0 AND waste_water_t_per_day >= 0 AND freight_lift_t >= 0 AND cold_storage_m2 >= 0",
            name=op.f("ck_units_technical_values"),
        ),
        sa.CheckConstraint(
            "divisible = (min_part IS NOT NULL) AND min_part > 0 AND min_part <= capacity",
            name=op.f("ck_units_min_part"),
        ),
        sa.CheckConstraint(
            "leasable_area_m2 > 0 AND internal_area_m2 > 0 AND internal_area_m2 <= leasable_area_m2",
            name=op.f("ck_units_areas"),
        ),
        sa.CheckConstraint(
            "min_term_months > 0 AND max_term_months > 0 AND min_term_months <= max_term_months",
            name=op.f("ck_units_terms"),
        ),
        sa.CheckConstraint(
            "position_accuracy_m >= 0", name=op.f("ck_units_position_accuracy_not_negative")
        ),
        sa.CheckConstraint(
            "rent_cny_per_m2_day >= 0 AND rent_cny_per_place_month >= 0",
            name=op.f("ck_units_rent_not_negative"),
        ),
        sa.ForeignKeyConstraint(
            ["building_id"],
            ["buildings.id"],
            name=op.f("fk_units_building_id_buildings"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["floor_id"], ["floors.id"], name=op.f("fk_units_floor_id_floors"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["park_id"], ["parks.id"], name=op.f("fk_units_park_id_parks"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_units")),
        sa.UniqueConstraint("code", name=op.f("uq_units_code")),
        sa.UniqueConstraint("fid", name=op.f("uq_units_fid")),
        sa.UniqueConstraint("id", "park_id", name=op.f("uq_units_id_park_id")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_geospatial_index(
        "idx_units_geom",
        "units",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index(op.f("ix_units_building_id"), "units", ["building_id"], unique=False)
    op.create_index(op.f("ix_units_floor_id"), "units", ["floor_id"], unique=False)
    op.create_index(op.f("ix_units_park_id"), "units", ["park_id"], unique=False)
    op.create_index(
        "ix_units_unit_type_geom",
        "units",
        ["unit_type", "geom"],
        unique=False,
        postgresql_using="gist",
    )
    op.create_index("ix_units_leasable_area_m2_code", "units", ["leasable_area_m2", "code"])
    op.create_index(
        "ix_units_unit_type_leasable_area_m2",
        "units",
        ["unit_type", "leasable_area_m2"],
        unique=False,
    )
    op.create_table(
        "claims",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "commitment_id",
            sa.Uuid(),
            nullable=False,
            comment="one promise to one company; keeps its id from hold to lease to its end",
        ),
        sa.Column("park_id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=True),
        sa.Column("space_request_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False, comment="hold | lease | works | reservation"),
        sa.Column(
            "quantity",
            sa.Numeric(precision=14, scale=2),
            nullable=False,
            comment="in the unit's own measure",
        ),
        sa.Column("whole", sa.Boolean(), nullable=False, comment="the unit's whole capacity"),
        sa.Column(
            "period",
            postgresql.DATERANGE(),
            nullable=False,
            comment="Shanghai civil days on which the space is used, half-open",
        ),
        sa.Column(
            "live",
            postgresql.TSTZRANGE(),
            nullable=False,
            comment="when we believed it: [created, expiry) for a hold, [signed, ∞) for a lease",
        ),
        sa.Column("supersedes_id", sa.Uuid(), nullable=True),
        sa.Column("placed_by", sa.Text(), nullable=False, comment="the actor who placed it"),
        sa.Column(
            "closed_by", sa.Text(), nullable=True, comment="the actor who closed it before its time"
        ),
        sa.Column("synthetic", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("park_id"), "="),
            (sa.column("unit_id"), "="),
            (sa.column("period"), "&&"),
            (sa.column("live"), "&&"),
            where=sa.text("whole"),
            using="gist",
            name="ex_claims_whole_unit",
        ),
        sa.CheckConstraint(
            "company_id IS NOT NULL OR kind NOT IN ('hold', 'lease')",
            name=op.f("ck_claims_promised_to_someone"),
        ),
        sa.CheckConstraint(
            "kind <> 'hold' OR NOT upper_inf(live)", name=op.f("ck_claims_hold_expires")
        ),
        sa.CheckConstraint(
            "kind IN ('hold', 'lease', 'works', 'reservation')", name=op.f("ck_claims_kind_known")
        ),
        sa.CheckConstraint(
            "NOT isempty(live) AND NOT lower_inf(live)", name=op.f("ck_claims_live_has_start")
        ),
        sa.CheckConstraint(
            "NOT isempty(period) AND NOT lower_inf(period)", name=op.f("ck_claims_period_has_start")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_claims_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["companies.id"],
            name=op.f("fk_claims_company_id_companies"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["space_request_id"],
            ["space_requests.id"],
            name=op.f("fk_claims_space_request_id_space_requests"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["supersedes_id"],
            ["claims.id"],
            name=op.f("fk_claims_supersedes_id_claims"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["unit_id", "park_id"],
            ["units.id", "units.park_id"],
            name="fk_claims_unit_id_park_id_units",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
    )
    op.create_index("ix_claims_commitment_id", "claims", ["commitment_id"], unique=False)
    op.create_index("ix_claims_company_id", "claims", ["company_id"], unique=False)
    op.create_index(
        op.f("ix_claims_space_request_id"), "claims", ["space_request_id"], unique=False
    )
    op.create_index("ix_claims_unit_id", "claims", ["unit_id"], unique=False)
    op.create_geospatial_table(
        "shared_facilities",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column(
            "fid",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="stable number for GIS tools",
        ),
        sa.Column("park_id", sa.Uuid(), nullable=True),
        sa.Column("unit_id", sa.Uuid(), nullable=True, comment="where it is a unit too"),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("facility_type", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("biosafety_level", sa.SmallInteger(), nullable=True),
        sa.Column("capacity", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("capacity_unit", sa.Text(), nullable=True, comment="what the capacity counts"),
        sa.Column(
            "geom",
            Geometry(
                geometry_type="POINT",
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
        sa.CheckConstraint(
            "confidence IN ('published', 'derived', 'assumption')",
            name=op.f("ck_shared_facilities_confidence_known"),
        ),
        sa.CheckConstraint(
            "facility_type IN ('bsl_lab', 'cdmo_line', 'biobank', 'animal_facility', 'isotope_waste', 'hospital', 'metro_station')",
            name=op.f("ck_shared_facilities_facility_type_known"),
        ),
        sa.CheckConstraint(
            "geometry_quality IN ('surveyed', 'digitised', 'schematic')",
            name=op.f("ck_shared_facilities_geometry_quality_known"),
        ),
        sa.CheckConstraint(
            "source_datum IN ('WGS84', 'CGCS2000', 'GCJ02', 'BD09')",
            name=op.f("ck_shared_facilities_source_datum_known"),
        ),
        sa.CheckConstraint(
            "ST_IsValid(geom) AND NOT ST_IsEmpty(geom)",
            name=op.f("ck_shared_facilities_geom_valid"),
        ),
        sa.CheckConstraint(
            "biosafety_level BETWEEN 1 AND 4",
            name=op.f("ck_shared_facilities_biosafety_level_known"),
        ),
        sa.CheckConstraint("capacity > 0", name=op.f("ck_shared_facilities_capacity_positive")),
        sa.CheckConstraint(
            "position_accuracy_m >= 0",
            name=op.f("ck_shared_facilities_position_accuracy_not_negative"),
        ),
        sa.ForeignKeyConstraint(
            ["park_id"],
            ["parks.id"],
            name=op.f("fk_shared_facilities_park_id_parks"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["unit_id"],
            ["units.id"],
            name=op.f("fk_shared_facilities_unit_id_units"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_facilities")),
        sa.UniqueConstraint("code", name=op.f("uq_shared_facilities_code")),
        sa.UniqueConstraint("fid", name=op.f("uq_shared_facilities_fid")),
    )
    op.create_geospatial_index(
        "idx_shared_facilities_geom",
        "shared_facilities",
        ["geom"],
        unique=False,
        postgresql_using="gist",
        postgresql_ops={},
    )
    op.create_index(
        op.f("ix_shared_facilities_park_id"), "shared_facilities", ["park_id"], unique=False
    )
    op.create_index(
        op.f("ix_shared_facilities_unit_id"), "shared_facilities", ["unit_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_shared_facilities_unit_id"), table_name="shared_facilities")
    op.drop_index(op.f("ix_shared_facilities_park_id"), table_name="shared_facilities")
    op.drop_geospatial_index(
        "idx_shared_facilities_geom",
        table_name="shared_facilities",
        postgresql_using="gist",
        column_name="geom",
    )
    op.drop_geospatial_table("shared_facilities")
    op.drop_index("ix_claims_unit_id", table_name="claims")
    op.drop_index(op.f("ix_claims_space_request_id"), table_name="claims")
    op.drop_index("ix_claims_company_id", table_name="claims")
    op.drop_index("ix_claims_commitment_id", table_name="claims")
    op.drop_table("claims")
    op.drop_index("ix_units_unit_type_leasable_area_m2", table_name="units")
    op.drop_index("ix_units_leasable_area_m2_code", table_name="units")
    op.drop_index("ix_units_unit_type_geom", table_name="units", postgresql_using="gist")
    op.drop_index(op.f("ix_units_park_id"), table_name="units")
    op.drop_index(op.f("ix_units_floor_id"), table_name="units")
    op.drop_index(op.f("ix_units_building_id"), table_name="units")
    op.drop_geospatial_index(
        "idx_units_geom", table_name="units", postgresql_using="gist", column_name="geom"
    )
    op.drop_geospatial_table("units")
    op.drop_index(op.f("ix_programme_buildings_building_id"), table_name="programme_buildings")
    op.drop_table("programme_buildings")
    op.drop_index(op.f("ix_floors_park_id"), table_name="floors")
    op.drop_geospatial_index(
        "idx_floors_geom", table_name="floors", postgresql_using="gist", column_name="geom"
    )
    op.drop_geospatial_table("floors")
    op.drop_table("programme_milestones")
    op.drop_index(op.f("ix_buildings_park_id"), table_name="buildings")
    op.drop_index(op.f("ix_buildings_parcel_id"), table_name="buildings")
    op.drop_geospatial_index(
        "idx_buildings_geom", table_name="buildings", postgresql_using="gist", column_name="geom"
    )
    op.drop_geospatial_table("buildings")
    op.drop_index(op.f("ix_space_requests_pipeline_asset_id"), table_name="space_requests")
    op.drop_index(op.f("ix_space_requests_company_id"), table_name="space_requests")
    op.drop_table("space_requests")
    op.drop_index(op.f("ix_programmes_park_id"), table_name="programmes")
    op.drop_index(op.f("ix_programmes_parent_programme_id"), table_name="programmes")
    op.drop_table("programmes")
    op.drop_index(
        op.f("ix_pipeline_stage_entries_pipeline_asset_id"), table_name="pipeline_stage_entries"
    )
    op.drop_table("pipeline_stage_entries")
    op.drop_geospatial_index(
        "idx_park_blocks_geom",
        table_name="park_blocks",
        postgresql_using="gist",
        column_name="geom",
    )
    op.drop_geospatial_table("park_blocks")
    op.drop_index(op.f("ix_parcels_park_id"), table_name="parcels")
    op.drop_geospatial_index(
        "idx_parcels_geom", table_name="parcels", postgresql_using="gist", column_name="geom"
    )
    op.drop_geospatial_table("parcels")
    op.drop_index(op.f("ix_pipeline_assets_company_id"), table_name="pipeline_assets")
    op.drop_table("pipeline_assets")
    op.drop_index(op.f("ix_parks_zone_id"), table_name="parks")
    op.drop_index(op.f("ix_parks_parent_park_id"), table_name="parks")
    op.drop_geospatial_index(
        "idx_parks_geom", table_name="parks", postgresql_using="gist", column_name="geom"
    )
    op.drop_geospatial_table("parks")
    op.drop_index(op.f("ix_credentials_company_id"), table_name="credentials")
    op.drop_table("credentials")
    op.drop_geospatial_index(
        "idx_zones_geom", table_name="zones", postgresql_using="gist", column_name="geom"
    )
    op.drop_geospatial_table("zones")
    op.drop_table("reference_loads")
    op.drop_index(op.f("ix_idempotent_answers_created_at"), table_name="idempotent_answers")
    op.drop_table("idempotent_answers")
    op.drop_table("companies")
    op.execute("DROP FUNCTION credit_code_check_digit_holds(text)")
