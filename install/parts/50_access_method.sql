-- Access method omenhnsw and its operator classes.

CREATE FUNCTION omenhnsw_handler(internal) RETURNS index_am_handler
	AS 'MODULE_PATHNAME', 'omen_am_handler' LANGUAGE C STRICT;
COMMENT ON FUNCTION omenhnsw_handler(internal) IS 'handler of index access method omenhnsw';

CREATE ACCESS METHOD omenhnsw TYPE INDEX HANDLER omenhnsw_handler;
COMMENT ON ACCESS METHOD omenhnsw IS 'nearest-neighbour search by a segmented HNSW graph';

CREATE FUNCTION omenhnsw_vector_l2_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_vector_l2_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_vector_l2_support(internal) IS 'support function of operator class vector_l2_ops';

CREATE FUNCTION omenhnsw_vector_ip_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_vector_ip_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_vector_ip_support(internal) IS 'support function of operator class vector_ip_ops';

CREATE FUNCTION omenhnsw_vector_cosine_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_vector_cosine_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_vector_cosine_support(internal) IS 'support function of operator class vector_cosine_ops';

CREATE FUNCTION omenhnsw_vector_l1_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_vector_l1_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_vector_l1_support(internal) IS 'support function of operator class vector_l1_ops';

CREATE OPERATOR CLASS vector_l2_ops DEFAULT FOR TYPE vector USING omenhnsw AS
	OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 omenhnsw_vector_l2_support(internal);
COMMENT ON OPERATOR CLASS vector_l2_ops USING omenhnsw IS 'Euclidean distance, operator <->';

CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING omenhnsw AS
	OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 omenhnsw_vector_ip_support(internal);
COMMENT ON OPERATOR CLASS vector_ip_ops USING omenhnsw IS 'negative inner product, operator <#>';

CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING omenhnsw AS
	OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 omenhnsw_vector_cosine_support(internal);
COMMENT ON OPERATOR CLASS vector_cosine_ops USING omenhnsw IS 'cosine distance, operator <=>';

CREATE OPERATOR CLASS vector_l1_ops FOR TYPE vector USING omenhnsw AS
	OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 omenhnsw_vector_l1_support(internal);
COMMENT ON OPERATOR CLASS vector_l1_ops USING omenhnsw IS 'taxicab distance, operator <+>';
