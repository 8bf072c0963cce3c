/*
 * What the loaded library says about itself.
 */

CREATE FUNCTION omenvec_version() RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_info_version';
COMMENT ON FUNCTION omenvec_version() IS 'version of the loaded omenvec library';

CREATE FUNCTION omenvec_simd() RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_info_simd';
COMMENT ON FUNCTION omenvec_simd() IS 'instruction set that distances are computed with';
