-- Spheres: a centre and a radius.  A vector is in one if its distance from the
-- centre is at most the radius.  An index of omenhnsw answers these operators,
-- and so it can end a search at a distance.

CREATE TYPE sphere_vector AS (center vector, radius double precision);
COMMENT ON TYPE sphere_vector IS 'centre and radius of a sphere of vector';

CREATE FUNCTION sphere(center vector, radius double precision) RETURNS sphere_vector
    LANGUAGE SQL IMMUTABLE PARALLEL SAFE
    RETURN ROW(center, radius)::sphere_vector;
COMMENT ON FUNCTION sphere(vector, double precision) IS 'sphere of a centre and a radius';

CREATE FUNCTION vector_l2_within(vector, sphere_vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_l2_within';
COMMENT ON FUNCTION vector_l2_within(vector, sphere_vector) IS 'is the Euclidean distance from the centre at most the radius';

CREATE OPERATOR <<->> (
    LEFTARG = vector, RIGHTARG = sphere_vector, FUNCTION = vector_l2_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<->> (vector, sphere_vector) IS 'within the sphere, by Euclidean distance';

CREATE FUNCTION vector_ip_within(vector, sphere_vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_ip_within';
COMMENT ON FUNCTION vector_ip_within(vector, sphere_vector) IS 'is the negative inner product from the centre at most the radius';

CREATE OPERATOR <<#>> (
    LEFTARG = vector, RIGHTARG = sphere_vector, FUNCTION = vector_ip_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<#>> (vector, sphere_vector) IS 'within the sphere, by negative inner product';

CREATE FUNCTION vector_cosine_within(vector, sphere_vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_cosine_within';
COMMENT ON FUNCTION vector_cosine_within(vector, sphere_vector) IS 'is the cosine distance from the centre at most the radius';

CREATE OPERATOR <<=>> (
    LEFTARG = vector, RIGHTARG = sphere_vector, FUNCTION = vector_cosine_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<=>> (vector, sphere_vector) IS 'within the sphere, by cosine distance';

CREATE FUNCTION vector_l1_within(vector, sphere_vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_vector_l1_within';
COMMENT ON FUNCTION vector_l1_within(vector, sphere_vector) IS 'is the taxicab distance from the centre at most the radius';

CREATE OPERATOR <<+>> (
    LEFTARG = vector, RIGHTARG = sphere_vector, FUNCTION = vector_l1_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<+>> (vector, sphere_vector) IS 'within the sphere, by taxicab distance';

CREATE TYPE sphere_halfvec AS (center halfvec, radius double precision);
COMMENT ON TYPE sphere_halfvec IS 'centre and radius of a sphere of halfvec';

CREATE FUNCTION sphere(center halfvec, radius double precision) RETURNS sphere_halfvec
    LANGUAGE SQL IMMUTABLE PARALLEL SAFE
    RETURN ROW(center, radius)::sphere_halfvec;
COMMENT ON FUNCTION sphere(halfvec, double precision) IS 'sphere of a centre and a radius';

CREATE FUNCTION halfvec_l2_within(halfvec, sphere_halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_halfvec_l2_within';
COMMENT ON FUNCTION halfvec_l2_within(halfvec, sphere_halfvec) IS 'is the Euclidean distance from the centre at most the radius';

CREATE OPERATOR <<->> (
    LEFTARG = halfvec, RIGHTARG = sphere_halfvec, FUNCTION = halfvec_l2_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<->> (halfvec, sphere_halfvec) IS 'within the sphere, by Euclidean distance';

CREATE FUNCTION halfvec_ip_within(halfvec, sphere_halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_halfvec_ip_within';
COMMENT ON FUNCTION halfvec_ip_within(halfvec, sphere_halfvec) IS 'is the negative inner product from the centre at most the radius';

CREATE OPERATOR <<#>> (
    LEFTARG = halfvec, RIGHTARG = sphere_halfvec, FUNCTION = halfvec_ip_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<#>> (halfvec, sphere_halfvec) IS 'within the sphere, by negative inner product';

CREATE FUNCTION halfvec_cosine_within(halfvec, sphere_halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_halfvec_cosine_within';
COMMENT ON FUNCTION halfvec_cosine_within(halfvec, sphere_halfvec) IS 'is the cosine distance from the centre at most the radius';

CREATE OPERATOR <<=>> (
    LEFTARG = halfvec, RIGHTARG = sphere_halfvec, FUNCTION = halfvec_cosine_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<=>> (halfvec, sphere_halfvec) IS 'within the sphere, by cosine distance';

CREATE FUNCTION halfvec_l1_within(halfvec, sphere_halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_halfvec_l1_within';
COMMENT ON FUNCTION halfvec_l1_within(halfvec, sphere_halfvec) IS 'is the taxicab distance from the centre at most the radius';

CREATE OPERATOR <<+>> (
    LEFTARG = halfvec, RIGHTARG = sphere_halfvec, FUNCTION = halfvec_l1_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<+>> (halfvec, sphere_halfvec) IS 'within the sphere, by taxicab distance';

CREATE TYPE sphere_bit AS (center bit, radius double precision);
COMMENT ON TYPE sphere_bit IS 'centre and radius of a sphere of bit';

CREATE FUNCTION sphere(center bit, radius double precision) RETURNS sphere_bit
    LANGUAGE SQL IMMUTABLE PARALLEL SAFE
    RETURN ROW(center, radius)::sphere_bit;
COMMENT ON FUNCTION sphere(bit, double precision) IS 'sphere of a centre and a radius';

CREATE FUNCTION bit_hamming_within(bit, sphere_bit) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_bit_hamming_within';
COMMENT ON FUNCTION bit_hamming_within(bit, sphere_bit) IS 'is the Hamming distance from the centre at most the radius';

CREATE OPERATOR <<~>> (
    LEFTARG = bit, RIGHTARG = sphere_bit, FUNCTION = bit_hamming_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<~>> (bit, sphere_bit) IS 'within the sphere, by Hamming distance';

CREATE FUNCTION bit_jaccard_within(bit, sphere_bit) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_bit_jaccard_within';
COMMENT ON FUNCTION bit_jaccard_within(bit, sphere_bit) IS 'is the Jaccard distance from the centre at most the radius';

CREATE OPERATOR <<%>> (
    LEFTARG = bit, RIGHTARG = sphere_bit, FUNCTION = bit_jaccard_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<%>> (bit, sphere_bit) IS 'within the sphere, by Jaccard distance';

CREATE TYPE sphere_sparsevec AS (center sparsevec, radius double precision);
COMMENT ON TYPE sphere_sparsevec IS 'centre and radius of a sphere of sparsevec';

CREATE FUNCTION sphere(center sparsevec, radius double precision) RETURNS sphere_sparsevec
    LANGUAGE SQL IMMUTABLE PARALLEL SAFE
    RETURN ROW(center, radius)::sphere_sparsevec;
COMMENT ON FUNCTION sphere(sparsevec, double precision) IS 'sphere of a centre and a radius';

CREATE FUNCTION sparsevec_l2_within(sparsevec, sphere_sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_l2_within';
COMMENT ON FUNCTION sparsevec_l2_within(sparsevec, sphere_sparsevec) IS 'is the Euclidean distance from the centre at most the radius';

CREATE OPERATOR <<->> (
    LEFTARG = sparsevec, RIGHTARG = sphere_sparsevec, FUNCTION = sparsevec_l2_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<->> (sparsevec, sphere_sparsevec) IS 'within the sphere, by Euclidean distance';

CREATE FUNCTION sparsevec_ip_within(sparsevec, sphere_sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_ip_within';
COMMENT ON FUNCTION sparsevec_ip_within(sparsevec, sphere_sparsevec) IS 'is the negative inner product from the centre at most the radius';

CREATE OPERATOR <<#>> (
    LEFTARG = sparsevec, RIGHTARG = sphere_sparsevec, FUNCTION = sparsevec_ip_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<#>> (sparsevec, sphere_sparsevec) IS 'within the sphere, by negative inner product';

CREATE FUNCTION sparsevec_cosine_within(sparsevec, sphere_sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_cosine_within';
COMMENT ON FUNCTION sparsevec_cosine_within(sparsevec, sphere_sparsevec) IS 'is the cosine distance from the centre at most the radius';

CREATE OPERATOR <<=>> (
    LEFTARG = sparsevec, RIGHTARG = sphere_sparsevec, FUNCTION = sparsevec_cosine_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<=>> (sparsevec, sphere_sparsevec) IS 'within the sphere, by cosine distance';

CREATE FUNCTION sparsevec_l1_within(sparsevec, sphere_sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'omen_sparsevec_l1_within';
COMMENT ON FUNCTION sparsevec_l1_within(sparsevec, sphere_sparsevec) IS 'is the taxicab distance from the centre at most the radius';

CREATE OPERATOR <<+>> (
    LEFTARG = sparsevec, RIGHTARG = sphere_sparsevec, FUNCTION = sparsevec_l1_within,
    RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR <<+>> (sparsevec, sphere_sparsevec) IS 'within the sphere, by taxicab distance';
