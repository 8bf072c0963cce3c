/*
 * Type sparsevec: vectors of many dimensions of which few are not zero.
 */

/* ---- type ---- */

CREATE TYPE sparsevec;

CREATE FUNCTION sparsevec_in(cstring, oid, integer) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50
    AS 'MODULE_PATHNAME', 'omen_sparsevec_in';
COMMENT ON FUNCTION sparsevec_in(cstring, oid, integer) IS 'I/O';

CREATE FUNCTION sparsevec_out(sparsevec) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50
    AS 'MODULE_PATHNAME', 'omen_sparsevec_out';
COMMENT ON FUNCTION sparsevec_out(sparsevec) IS 'I/O';

CREATE FUNCTION sparsevec_typmod_in(cstring[]) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_typmod_in';
COMMENT ON FUNCTION sparsevec_typmod_in(cstring[]) IS 'I/O typmod';

CREATE FUNCTION sparsevec_recv(internal, oid, integer) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_recv';
COMMENT ON FUNCTION sparsevec_recv(internal, oid, integer) IS 'I/O';

CREATE FUNCTION sparsevec_send(sparsevec) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_send';
COMMENT ON FUNCTION sparsevec_send(sparsevec) IS 'I/O';

CREATE TYPE sparsevec (
    INPUT = sparsevec_in,
    OUTPUT = sparsevec_out,
    TYPMOD_IN = sparsevec_typmod_in,
    RECEIVE = sparsevec_recv,
    SEND = sparsevec_send,
    STORAGE = external
);
COMMENT ON TYPE sparsevec IS 'sparse single-precision vector, sparsevec(dimensions)';

/* ---- distances ---- */

CREATE FUNCTION l2_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_l2_distance';
COMMENT ON FUNCTION l2_distance(sparsevec, sparsevec) IS 'Euclidean distance';

CREATE FUNCTION inner_product(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_inner_product';
COMMENT ON FUNCTION inner_product(sparsevec, sparsevec) IS 'inner product';

CREATE FUNCTION cosine_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_cosine_distance';
COMMENT ON FUNCTION cosine_distance(sparsevec, sparsevec) IS 'cosine distance';

CREATE FUNCTION l1_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_l1_distance';
COMMENT ON FUNCTION l1_distance(sparsevec, sparsevec) IS 'taxicab distance';

CREATE FUNCTION sparsevec_l2_squared_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_l2_squared_distance';
COMMENT ON FUNCTION sparsevec_l2_squared_distance(sparsevec, sparsevec) IS 'squared Euclidean distance';

CREATE FUNCTION sparsevec_negative_inner_product(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_negative_inner_product';
COMMENT ON FUNCTION sparsevec_negative_inner_product(sparsevec, sparsevec) IS 'negative inner product';

/* ---- functions of one vector ---- */

CREATE FUNCTION l2_norm(sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_norm';
COMMENT ON FUNCTION l2_norm(sparsevec) IS 'Euclidean norm';

CREATE FUNCTION l2_normalize(sparsevec) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_l2_normalize';
COMMENT ON FUNCTION l2_normalize(sparsevec) IS 'normalize with Euclidean norm';

/* ---- comparison ---- */

CREATE FUNCTION sparsevec_lt(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_lt';
COMMENT ON FUNCTION sparsevec_lt(sparsevec, sparsevec) IS 'implementation of < operator';

CREATE FUNCTION sparsevec_le(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_le';
COMMENT ON FUNCTION sparsevec_le(sparsevec, sparsevec) IS 'implementation of <= operator';

CREATE FUNCTION sparsevec_eq(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_eq';
COMMENT ON FUNCTION sparsevec_eq(sparsevec, sparsevec) IS 'implementation of = operator';

CREATE FUNCTION sparsevec_ne(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_ne';
COMMENT ON FUNCTION sparsevec_ne(sparsevec, sparsevec) IS 'implementation of <> operator';

CREATE FUNCTION sparsevec_ge(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_ge';
COMMENT ON FUNCTION sparsevec_ge(sparsevec, sparsevec) IS 'implementation of >= operator';

CREATE FUNCTION sparsevec_gt(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_gt';
COMMENT ON FUNCTION sparsevec_gt(sparsevec, sparsevec) IS 'implementation of > operator';

CREATE FUNCTION sparsevec_cmp(sparsevec, sparsevec) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_cmp';
COMMENT ON FUNCTION sparsevec_cmp(sparsevec, sparsevec) IS 'less-equal-greater';

CREATE FUNCTION sparsevec_hash(sparsevec) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_hash';
COMMENT ON FUNCTION sparsevec_hash(sparsevec) IS 'hash';

CREATE FUNCTION sparsevec_hash_extended(sparsevec, bigint) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_hash_extended';
COMMENT ON FUNCTION sparsevec_hash_extended(sparsevec, bigint) IS 'hash with seed';

/* ---- casts ---- */

CREATE FUNCTION sparsevec(sparsevec, integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_to_sparsevec';
COMMENT ON FUNCTION sparsevec(sparsevec, integer, boolean) IS 'adjust sparsevec to typmod';

CREATE FUNCTION array_to_sparsevec(integer[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_array_to_sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(integer[], integer, boolean) IS 'convert int4 array to sparsevec';

CREATE FUNCTION array_to_sparsevec(real[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_array_to_sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(real[], integer, boolean) IS 'convert float4 array to sparsevec';

CREATE FUNCTION array_to_sparsevec(double precision[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_array_to_sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(double precision[], integer, boolean) IS 'convert float8 array to sparsevec';

CREATE FUNCTION array_to_sparsevec(numeric[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50
    AS 'MODULE_PATHNAME', 'omen_array_to_sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(numeric[], integer, boolean) IS 'convert numeric array to sparsevec';

CREATE FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_to_vector';
COMMENT ON FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) IS 'convert sparsevec to vector';

CREATE FUNCTION vector_to_sparsevec(vector, integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_to_sparsevec';
COMMENT ON FUNCTION vector_to_sparsevec(vector, integer, boolean) IS 'convert vector to sparsevec';

CREATE FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_sparsevec_to_halfvec';
COMMENT ON FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) IS 'convert sparsevec to halfvec';

CREATE FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_halfvec_to_sparsevec';
COMMENT ON FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) IS 'convert halfvec to sparsevec';

CREATE CAST (sparsevec AS sparsevec)
    WITH FUNCTION sparsevec(sparsevec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (sparsevec AS sparsevec) IS 'check the dimensions';

CREATE CAST (sparsevec AS vector)
    WITH FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (sparsevec AS vector) IS 'the elements as a vector';

CREATE CAST (vector AS sparsevec)
    WITH FUNCTION vector_to_sparsevec(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS sparsevec) IS 'the elements as a sparsevec';

CREATE CAST (sparsevec AS halfvec)
    WITH FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (sparsevec AS halfvec) IS 'the elements as a halfvec';

CREATE CAST (halfvec AS sparsevec)
    WITH FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (halfvec AS sparsevec) IS 'the elements as a sparsevec';

CREATE CAST (integer[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS sparsevec) IS 'the elements as a sparsevec';

CREATE CAST (real[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS sparsevec) IS 'the elements as a sparsevec';

CREATE CAST (double precision[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS sparsevec) IS 'the elements as a sparsevec';

CREATE CAST (numeric[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS sparsevec) IS 'the elements as a sparsevec';

/* ---- operators ---- */

CREATE OPERATOR <-> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (sparsevec, sparsevec) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (sparsevec, sparsevec) IS 'negative inner product';

CREATE OPERATOR <=> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (sparsevec, sparsevec) IS 'cosine distance';

CREATE OPERATOR <+> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (sparsevec, sparsevec) IS 'taxicab distance';

CREATE OPERATOR < (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_lt,
    COMMUTATOR = >, NEGATOR = >=,
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (sparsevec, sparsevec) IS 'less than';

CREATE OPERATOR <= (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_le,
    COMMUTATOR = >=, NEGATOR = >,
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (sparsevec, sparsevec) IS 'less than or equal';

CREATE OPERATOR = (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_eq,
    COMMUTATOR = =, NEGATOR = <>,
    RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR = (sparsevec, sparsevec) IS 'equal';

CREATE OPERATOR <> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_ne,
    COMMUTATOR = <>, NEGATOR = =,
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (sparsevec, sparsevec) IS 'not equal';

CREATE OPERATOR >= (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_ge,
    COMMUTATOR = <=, NEGATOR = <,
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (sparsevec, sparsevec) IS 'greater than or equal';

CREATE OPERATOR > (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_gt,
    COMMUTATOR = <, NEGATOR = <=,
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (sparsevec, sparsevec) IS 'greater than';

/* ---- operator classes of core access methods ---- */

CREATE OPERATOR CLASS sparsevec_ops
    DEFAULT FOR TYPE sparsevec USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 sparsevec_cmp(sparsevec, sparsevec);
COMMENT ON OPERATOR CLASS sparsevec_ops USING btree IS 'order as lists of elements';
COMMENT ON OPERATOR FAMILY sparsevec_ops USING btree IS 'order as lists of elements';

CREATE OPERATOR CLASS sparsevec_ops
    DEFAULT FOR TYPE sparsevec USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 sparsevec_hash(sparsevec),
    FUNCTION 2 sparsevec_hash_extended(sparsevec, bigint);
COMMENT ON OPERATOR CLASS sparsevec_ops USING hash IS 'equality of elements';
COMMENT ON OPERATOR FAMILY sparsevec_ops USING hash IS 'equality of elements';
