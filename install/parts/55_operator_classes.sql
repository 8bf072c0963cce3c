-- Operator classes of omenhnsw.  The support function tells the access method
-- the metric and how to read a value of the type.

CREATE FUNCTION omenhnsw_vector_l2_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_vector_l2_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_vector_l2_support(internal) IS 'support function of operator class vector_l2_ops';

CREATE OPERATOR FAMILY vector_l2_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY vector_l2_ops USING omenhnsw IS 'Euclidean distance of vector';

CREATE OPERATOR CLASS vector_l2_ops FOR TYPE vector USING omenhnsw FAMILY vector_l2_ops AS
	OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
	OPERATOR 2 <<->> (vector, sphere_vector),
	FUNCTION 1 omenhnsw_vector_l2_support(internal);
COMMENT ON OPERATOR CLASS vector_l2_ops USING omenhnsw IS 'Euclidean distance, operator <->';

CREATE FUNCTION omenhnsw_vector_ip_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_vector_ip_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_vector_ip_support(internal) IS 'support function of operator class vector_ip_ops';

CREATE OPERATOR FAMILY vector_ip_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY vector_ip_ops USING omenhnsw IS 'negative inner product of vector';

CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING omenhnsw FAMILY vector_ip_ops AS
	OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
	OPERATOR 2 <<#>> (vector, sphere_vector),
	FUNCTION 1 omenhnsw_vector_ip_support(internal);
COMMENT ON OPERATOR CLASS vector_ip_ops USING omenhnsw IS 'negative inner product, operator <#>';

CREATE FUNCTION omenhnsw_vector_cosine_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_vector_cosine_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_vector_cosine_support(internal) IS 'support function of operator class vector_cosine_ops';

CREATE OPERATOR FAMILY vector_cosine_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY vector_cosine_ops USING omenhnsw IS 'cosine distance of vector';

CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING omenhnsw FAMILY vector_cosine_ops AS
	OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
	OPERATOR 2 <<=>> (vector, sphere_vector),
	FUNCTION 1 omenhnsw_vector_cosine_support(internal);
COMMENT ON OPERATOR CLASS vector_cosine_ops USING omenhnsw IS 'cosine distance, operator <=>';

CREATE FUNCTION omenhnsw_vector_l1_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_vector_l1_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_vector_l1_support(internal) IS 'support function of operator class vector_l1_ops';

CREATE OPERATOR FAMILY vector_l1_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY vector_l1_ops USING omenhnsw IS 'taxicab distance of vector';

CREATE OPERATOR CLASS vector_l1_ops FOR TYPE vector USING omenhnsw FAMILY vector_l1_ops AS
	OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
	OPERATOR 2 <<+>> (vector, sphere_vector),
	FUNCTION 1 omenhnsw_vector_l1_support(internal);
COMMENT ON OPERATOR CLASS vector_l1_ops USING omenhnsw IS 'taxicab distance, operator <+>';

CREATE FUNCTION omenhnsw_halfvec_l2_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_halfvec_l2_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_halfvec_l2_support(internal) IS 'support function of operator class halfvec_l2_ops';

CREATE OPERATOR FAMILY halfvec_l2_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY halfvec_l2_ops USING omenhnsw IS 'Euclidean distance of halfvec';

CREATE OPERATOR CLASS halfvec_l2_ops FOR TYPE halfvec USING omenhnsw FAMILY halfvec_l2_ops AS
	OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
	OPERATOR 2 <<->> (halfvec, sphere_halfvec),
	FUNCTION 1 omenhnsw_halfvec_l2_support(internal);
COMMENT ON OPERATOR CLASS halfvec_l2_ops USING omenhnsw IS 'Euclidean distance, operator <->';

CREATE FUNCTION omenhnsw_halfvec_ip_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_halfvec_ip_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_halfvec_ip_support(internal) IS 'support function of operator class halfvec_ip_ops';

CREATE OPERATOR FAMILY halfvec_ip_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY halfvec_ip_ops USING omenhnsw IS 'negative inner product of halfvec';

CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING omenhnsw FAMILY halfvec_ip_ops AS
	OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
	OPERATOR 2 <<#>> (halfvec, sphere_halfvec),
	FUNCTION 1 omenhnsw_halfvec_ip_support(internal);
COMMENT ON OPERATOR CLASS halfvec_ip_ops USING omenhnsw IS 'negative inner product, operator <#>';

CREATE FUNCTION omenhnsw_halfvec_cosine_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_halfvec_cosine_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_halfvec_cosine_support(internal) IS 'support function of operator class halfvec_cosine_ops';

CREATE OPERATOR FAMILY halfvec_cosine_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY halfvec_cosine_ops USING omenhnsw IS 'cosine distance of halfvec';

CREATE OPERATOR CLASS halfvec_cosine_ops FOR TYPE halfvec USING omenhnsw FAMILY halfvec_cosine_ops AS
	OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
	OPERATOR 2 <<=>> (halfvec, sphere_halfvec),
	FUNCTION 1 omenhnsw_halfvec_cosine_support(internal);
COMMENT ON OPERATOR CLASS halfvec_cosine_ops USING omenhnsw IS 'cosine distance, operator <=>';

CREATE FUNCTION omenhnsw_halfvec_l1_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_halfvec_l1_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_halfvec_l1_support(internal) IS 'support function of operator class halfvec_l1_ops';

CREATE OPERATOR FAMILY halfvec_l1_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY halfvec_l1_ops USING omenhnsw IS 'taxicab distance of halfvec';

CREATE OPERATOR CLASS halfvec_l1_ops FOR TYPE halfvec USING omenhnsw FAMILY halfvec_l1_ops AS
	OPERATOR 1 <+> (halfvec, halfvec) FOR ORDER BY float_ops,
	OPERATOR 2 <<+>> (halfvec, sphere_halfvec),
	FUNCTION 1 omenhnsw_halfvec_l1_support(internal);
COMMENT ON OPERATOR CLASS halfvec_l1_ops USING omenhnsw IS 'taxicab distance, operator <+>';

CREATE FUNCTION omenhnsw_bit_hamming_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_bit_hamming_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_bit_hamming_support(internal) IS 'support function of operator class bit_hamming_ops';

CREATE OPERATOR FAMILY bit_hamming_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY bit_hamming_ops USING omenhnsw IS 'Hamming distance of bit';

CREATE OPERATOR CLASS bit_hamming_ops FOR TYPE bit USING omenhnsw FAMILY bit_hamming_ops AS
	OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
	OPERATOR 2 <<~>> (bit, sphere_bit),
	FUNCTION 1 omenhnsw_bit_hamming_support(internal);
COMMENT ON OPERATOR CLASS bit_hamming_ops USING omenhnsw IS 'Hamming distance, operator <~>';

CREATE FUNCTION omenhnsw_bit_jaccard_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_bit_jaccard_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_bit_jaccard_support(internal) IS 'support function of operator class bit_jaccard_ops';

CREATE OPERATOR FAMILY bit_jaccard_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY bit_jaccard_ops USING omenhnsw IS 'Jaccard distance of bit';

CREATE OPERATOR CLASS bit_jaccard_ops FOR TYPE bit USING omenhnsw FAMILY bit_jaccard_ops AS
	OPERATOR 1 <%> (bit, bit) FOR ORDER BY float_ops,
	OPERATOR 2 <<%>> (bit, sphere_bit),
	FUNCTION 1 omenhnsw_bit_jaccard_support(internal);
COMMENT ON OPERATOR CLASS bit_jaccard_ops USING omenhnsw IS 'Jaccard distance, operator <%>';

CREATE FUNCTION omenhnsw_sparsevec_l2_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_sparsevec_l2_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_sparsevec_l2_support(internal) IS 'support function of operator class sparsevec_l2_ops';

CREATE OPERATOR FAMILY sparsevec_l2_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY sparsevec_l2_ops USING omenhnsw IS 'Euclidean distance of sparsevec';

CREATE OPERATOR CLASS sparsevec_l2_ops FOR TYPE sparsevec USING omenhnsw FAMILY sparsevec_l2_ops AS
	OPERATOR 1 <-> (sparsevec, sparsevec) FOR ORDER BY float_ops,
	OPERATOR 2 <<->> (sparsevec, sphere_sparsevec),
	FUNCTION 1 omenhnsw_sparsevec_l2_support(internal);
COMMENT ON OPERATOR CLASS sparsevec_l2_ops USING omenhnsw IS 'Euclidean distance, operator <->';

CREATE FUNCTION omenhnsw_sparsevec_ip_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_sparsevec_ip_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_sparsevec_ip_support(internal) IS 'support function of operator class sparsevec_ip_ops';

CREATE OPERATOR FAMILY sparsevec_ip_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY sparsevec_ip_ops USING omenhnsw IS 'negative inner product of sparsevec';

CREATE OPERATOR CLASS sparsevec_ip_ops FOR TYPE sparsevec USING omenhnsw FAMILY sparsevec_ip_ops AS
	OPERATOR 1 <#> (sparsevec, sparsevec) FOR ORDER BY float_ops,
	OPERATOR 2 <<#>> (sparsevec, sphere_sparsevec),
	FUNCTION 1 omenhnsw_sparsevec_ip_support(internal);
COMMENT ON OPERATOR CLASS sparsevec_ip_ops USING omenhnsw IS 'negative inner product, operator <#>';

CREATE FUNCTION omenhnsw_sparsevec_cosine_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_sparsevec_cosine_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_sparsevec_cosine_support(internal) IS 'support function of operator class sparsevec_cosine_ops';

CREATE OPERATOR FAMILY sparsevec_cosine_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY sparsevec_cosine_ops USING omenhnsw IS 'cosine distance of sparsevec';

CREATE OPERATOR CLASS sparsevec_cosine_ops FOR TYPE sparsevec USING omenhnsw FAMILY sparsevec_cosine_ops AS
	OPERATOR 1 <=> (sparsevec, sparsevec) FOR ORDER BY float_ops,
	OPERATOR 2 <<=>> (sparsevec, sphere_sparsevec),
	FUNCTION 1 omenhnsw_sparsevec_cosine_support(internal);
COMMENT ON OPERATOR CLASS sparsevec_cosine_ops USING omenhnsw IS 'cosine distance, operator <=>';

CREATE FUNCTION omenhnsw_sparsevec_l1_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'omen_am_sparsevec_l1_support' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_sparsevec_l1_support(internal) IS 'support function of operator class sparsevec_l1_ops';

CREATE OPERATOR FAMILY sparsevec_l1_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY sparsevec_l1_ops USING omenhnsw IS 'taxicab distance of sparsevec';

CREATE OPERATOR CLASS sparsevec_l1_ops FOR TYPE sparsevec USING omenhnsw FAMILY sparsevec_l1_ops AS
	OPERATOR 1 <+> (sparsevec, sparsevec) FOR ORDER BY float_ops,
	OPERATOR 2 <<+>> (sparsevec, sphere_sparsevec),
	FUNCTION 1 omenhnsw_sparsevec_l1_support(internal);
COMMENT ON OPERATOR CLASS sparsevec_l1_ops USING omenhnsw IS 'taxicab distance, operator <+>';
