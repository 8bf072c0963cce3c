/*
 * Type vector: lists of single-precision numbers.
 *
 * Names, signatures and the kinds of casts are those of pgvector, so that its
 * clients and its dumps work.  Costs: a distance is worth several comparisons
 * of integers, and reading or writing text many.
 */

/* ---- type ---- */

CREATE TYPE vector;

CREATE FUNCTION vector_in(cstring, oid, integer) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50
    AS 'MODULE_PATHNAME', 'omen_vector_in';
COMMENT ON FUNCTION vector_in(cstring, oid, integer) IS 'I/O';

CREATE FUNCTION vector_out(vector) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50
    AS 'MODULE_PATHNAME', 'omen_vector_out';
COMMENT ON FUNCTION vector_out(vector) IS 'I/O';

CREATE FUNCTION vector_typmod_in(cstring[]) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_typmod_in';
COMMENT ON FUNCTION vector_typmod_in(cstring[]) IS 'I/O typmod';

CREATE FUNCTION vector_recv(internal, oid, integer) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_recv';
COMMENT ON FUNCTION vector_recv(internal, oid, integer) IS 'I/O';

CREATE FUNCTION vector_send(vector) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_send';
COMMENT ON FUNCTION vector_send(vector) IS 'I/O';

CREATE TYPE vector (
    INPUT = vector_in,
    OUTPUT = vector_out,
    TYPMOD_IN = vector_typmod_in,
    RECEIVE = vector_recv,
    SEND = vector_send,
    STORAGE = external
);
COMMENT ON TYPE vector IS 'single-precision vector, vector(dimensions)';

/* ---- distances ---- */

CREATE FUNCTION l2_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_l2_distance';
COMMENT ON FUNCTION l2_distance(vector, vector) IS 'Euclidean distance';

CREATE FUNCTION inner_product(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_inner_product';
COMMENT ON FUNCTION inner_product(vector, vector) IS 'inner product';

CREATE FUNCTION cosine_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_cosine_distance';
COMMENT ON FUNCTION cosine_distance(vector, vector) IS 'cosine distance';

CREATE FUNCTION l1_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_l1_distance';
COMMENT ON FUNCTION l1_distance(vector, vector) IS 'taxicab distance';

CREATE FUNCTION vector_l2_squared_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_l2_squared_distance';
COMMENT ON FUNCTION vector_l2_squared_distance(vector, vector) IS 'squared Euclidean distance';

CREATE FUNCTION vector_negative_inner_product(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_negative_inner_product';
COMMENT ON FUNCTION vector_negative_inner_product(vector, vector) IS 'negative inner product';

CREATE FUNCTION vector_spherical_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_spherical_distance';
COMMENT ON FUNCTION vector_spherical_distance(vector, vector) IS 'angle between unit vectors, as a share of a half turn';

/* ---- functions of one vector ---- */

CREATE FUNCTION vector_dims(vector) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_dims';
COMMENT ON FUNCTION vector_dims(vector) IS 'number of dimensions';

CREATE FUNCTION vector_norm(vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_norm';
COMMENT ON FUNCTION vector_norm(vector) IS 'Euclidean norm';

CREATE FUNCTION l2_norm(vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_norm';
COMMENT ON FUNCTION l2_norm(vector) IS 'Euclidean norm';

CREATE FUNCTION l2_normalize(vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_l2_normalize';
COMMENT ON FUNCTION l2_normalize(vector) IS 'normalize with Euclidean norm';

CREATE FUNCTION binary_quantize(vector) RETURNS bit
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_binary_quantize';
COMMENT ON FUNCTION binary_quantize(vector) IS 'one bit per element, set where it is positive';

CREATE FUNCTION subvector(vector, integer, integer) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2
    AS 'MODULE_PATHNAME', 'omen_vector_subvector';
COMMENT ON FUNCTION subvector(vector, integer, integer) IS 'elements from a position (counted from 1), and how many';

CREATE FUNCTION vector_get(vector, integer) RETURNS real
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_get';
COMMENT ON FUNCTION vector_get(vector, integer) IS 'element at a position (counted from 1)';

/* ---- arithmetic ---- */

CREATE FUNCTION vector_add(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_add';
COMMENT ON FUNCTION vector_add(vector, vector) IS 'implementation of + operator';

CREATE FUNCTION vector_sub(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_sub';
COMMENT ON FUNCTION vector_sub(vector, vector) IS 'implementation of - operator';

CREATE FUNCTION vector_mul(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_mul';
COMMENT ON FUNCTION vector_mul(vector, vector) IS 'implementation of * operator';

CREATE FUNCTION vector_concat(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_concat';
COMMENT ON FUNCTION vector_concat(vector, vector) IS 'implementation of || operator';

/* ---- comparison ---- */

CREATE FUNCTION vector_lt(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_lt';
COMMENT ON FUNCTION vector_lt(vector, vector) IS 'implementation of < operator';

CREATE FUNCTION vector_le(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_le';
COMMENT ON FUNCTION vector_le(vector, vector) IS 'implementation of <= operator';

CREATE FUNCTION vector_eq(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_eq';
COMMENT ON FUNCTION vector_eq(vector, vector) IS 'implementation of = operator';

CREATE FUNCTION vector_ne(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_ne';
COMMENT ON FUNCTION vector_ne(vector, vector) IS 'implementation of <> operator';

CREATE FUNCTION vector_ge(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_ge';
COMMENT ON FUNCTION vector_ge(vector, vector) IS 'implementation of >= operator';

CREATE FUNCTION vector_gt(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_gt';
COMMENT ON FUNCTION vector_gt(vector, vector) IS 'implementation of > operator';

CREATE FUNCTION vector_cmp(vector, vector) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_cmp';
COMMENT ON FUNCTION vector_cmp(vector, vector) IS 'less-equal-greater';

CREATE FUNCTION vector_hash(vector) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_hash';
COMMENT ON FUNCTION vector_hash(vector) IS 'hash';

CREATE FUNCTION vector_hash_extended(vector, bigint) RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_hash_extended';
COMMENT ON FUNCTION vector_hash_extended(vector, bigint) IS 'hash with seed';

/* ---- aggregates ---- */

CREATE FUNCTION vector_accum(double precision[], vector) RETURNS double precision[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_accum';
COMMENT ON FUNCTION vector_accum(double precision[], vector) IS 'aggregate transition function';

CREATE FUNCTION vector_avg(double precision[]) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_avg';
COMMENT ON FUNCTION vector_avg(double precision[]) IS 'aggregate final function';

CREATE FUNCTION vector_combine(double precision[], double precision[]) RETURNS double precision[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_combine';
COMMENT ON FUNCTION vector_combine(double precision[], double precision[]) IS 'aggregate combine function';

CREATE AGGREGATE avg(vector) (
    SFUNC = vector_accum,
    STYPE = double precision[],
    FINALFUNC = vector_avg,
    COMBINEFUNC = vector_combine,
    INITCOND = '{0}',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(vector) IS 'the average (arithmetic mean) as vector of all vector values';

CREATE AGGREGATE sum(vector) (
    SFUNC = vector_add,
    STYPE = vector,
    COMBINEFUNC = vector_add,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(vector) IS 'sum as vector across all vector input values';

/* ---- casts ---- */

CREATE FUNCTION vector(vector, integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_to_vector';
COMMENT ON FUNCTION vector(vector, integer, boolean) IS 'adjust vector to typmod';

CREATE FUNCTION array_to_vector(integer[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_array_to_vector';
COMMENT ON FUNCTION array_to_vector(integer[], integer, boolean) IS 'convert int4 array to vector';

CREATE FUNCTION array_to_vector(real[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_array_to_vector';
COMMENT ON FUNCTION array_to_vector(real[], integer, boolean) IS 'convert float4 array to vector';

CREATE FUNCTION array_to_vector(double precision[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_array_to_vector';
COMMENT ON FUNCTION array_to_vector(double precision[], integer, boolean) IS 'convert float8 array to vector';

CREATE FUNCTION array_to_vector(numeric[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 50
    AS 'MODULE_PATHNAME', 'omen_array_to_vector';
COMMENT ON FUNCTION array_to_vector(numeric[], integer, boolean) IS 'convert numeric array to vector';

CREATE FUNCTION vector_to_float4(vector, integer, boolean) RETURNS real[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5
    AS 'MODULE_PATHNAME', 'omen_vector_to_float4';
COMMENT ON FUNCTION vector_to_float4(vector, integer, boolean) IS 'convert vector to float4 array';

CREATE CAST (vector AS vector)
    WITH FUNCTION vector(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS vector) IS 'check the dimensions';

CREATE CAST (vector AS real[])
    WITH FUNCTION vector_to_float4(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS real[]) IS 'the elements as an array';

CREATE CAST (integer[] AS vector)
    WITH FUNCTION array_to_vector(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS vector) IS 'the elements as a vector';

CREATE CAST (real[] AS vector)
    WITH FUNCTION array_to_vector(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS vector) IS 'the elements as a vector';

CREATE CAST (double precision[] AS vector)
    WITH FUNCTION array_to_vector(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS vector) IS 'the elements as a vector';

CREATE CAST (numeric[] AS vector)
    WITH FUNCTION array_to_vector(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS vector) IS 'the elements as a vector';

/* ---- operators ---- */

CREATE OPERATOR <-> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (vector, vector) IS 'Euclidean distance';

CREATE OPERATOR <#> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (vector, vector) IS 'negative inner product';

CREATE OPERATOR <=> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (vector, vector) IS 'cosine distance';

CREATE OPERATOR <+> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (vector, vector) IS 'taxicab distance';

CREATE OPERATOR + (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_add,
    COMMUTATOR = +
);
COMMENT ON OPERATOR + (vector, vector) IS 'add';

CREATE OPERATOR - (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_sub
);
COMMENT ON OPERATOR - (vector, vector) IS 'subtract';

CREATE OPERATOR * (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_mul,
    COMMUTATOR = *
);
COMMENT ON OPERATOR * (vector, vector) IS 'multiply';

CREATE OPERATOR || (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_concat
);
COMMENT ON OPERATOR || (vector, vector) IS 'concatenate';

CREATE OPERATOR < (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_lt,
    COMMUTATOR = >, NEGATOR = >=,
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (vector, vector) IS 'less than';

CREATE OPERATOR <= (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_le,
    COMMUTATOR = >=, NEGATOR = >,
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (vector, vector) IS 'less than or equal';

CREATE OPERATOR = (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_eq,
    COMMUTATOR = =, NEGATOR = <>,
    RESTRICT = eqsel, JOIN = eqjoinsel,
    HASHES, MERGES
);
COMMENT ON OPERATOR = (vector, vector) IS 'equal';

CREATE OPERATOR <> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_ne,
    COMMUTATOR = <>, NEGATOR = =,
    RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (vector, vector) IS 'not equal';

CREATE OPERATOR >= (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_ge,
    COMMUTATOR = <=, NEGATOR = <,
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (vector, vector) IS 'greater than or equal';

CREATE OPERATOR > (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_gt,
    COMMUTATOR = <, NEGATOR = <=,
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (vector, vector) IS 'greater than';

/* ---- operator classes of core access methods ---- */

CREATE OPERATOR CLASS vector_ops
    DEFAULT FOR TYPE vector USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 vector_cmp(vector, vector);
COMMENT ON OPERATOR CLASS vector_ops USING btree IS 'order as lists of elements';
COMMENT ON OPERATOR FAMILY vector_ops USING btree IS 'order as lists of elements';

CREATE OPERATOR CLASS vector_ops
    DEFAULT FOR TYPE vector USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 vector_hash(vector),
    FUNCTION 2 vector_hash_extended(vector, bigint);
COMMENT ON OPERATOR CLASS vector_ops USING hash IS 'equality of elements';
COMMENT ON OPERATOR FAMILY vector_ops USING hash IS 'equality of elements';
