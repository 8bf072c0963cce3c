/*
 * Core type bit: distances between bit strings.
 */

CREATE FUNCTION hamming_distance(bit, bit) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 3
    AS 'MODULE_PATHNAME', 'omen_bit_hamming_distance';
COMMENT ON FUNCTION hamming_distance(bit, bit) IS 'Hamming distance';

CREATE FUNCTION jaccard_distance(bit, bit) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 3
    AS 'MODULE_PATHNAME', 'omen_bit_jaccard_distance';
COMMENT ON FUNCTION jaccard_distance(bit, bit) IS 'Jaccard distance';

CREATE OPERATOR <~> (
    LEFTARG = bit, RIGHTARG = bit, FUNCTION = hamming_distance,
    COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (bit, bit) IS 'Hamming distance';

CREATE OPERATOR <%> (
    LEFTARG = bit, RIGHTARG = bit, FUNCTION = jaccard_distance,
    COMMUTATOR = <%>
);
COMMENT ON OPERATOR <%> (bit, bit) IS 'Jaccard distance';
