-- Access method omenhnsw.

CREATE FUNCTION omenhnsw_handler(internal) RETURNS index_am_handler
	AS 'MODULE_PATHNAME', 'omen_am_handler' LANGUAGE C STRICT;
COMMENT ON FUNCTION omenhnsw_handler(internal) IS 'handler of index access method omenhnsw';

CREATE ACCESS METHOD omenhnsw TYPE INDEX HANDLER omenhnsw_handler;
COMMENT ON ACCESS METHOD omenhnsw IS 'nearest-neighbour search by a segmented HNSW graph';
