-- Operator classes of attributes, the columns of an omenhnsw index after the
-- vector.  Operators are PostgreSQL's own, and so are the functions that compare,
-- but for points.  Strategies 3 to 7 are btree's, 8 and 9 prefixes and patterns of
-- text, those from 10 on are asked of each value: see src/filter/attribute.h.

-- Numbers: all integers compare with each other, and so do all floating-point numbers.

CREATE OPERATOR FAMILY integer_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY integer_ops USING omenhnsw IS 'attributes: smallint, integer and bigint';

CREATE OPERATOR CLASS int2_ops DEFAULT FOR TYPE smallint USING omenhnsw FAMILY integer_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 btint2cmp(smallint, smallint);
COMMENT ON OPERATOR CLASS int2_ops USING omenhnsw IS 'smallint as an attribute, operators < <= = >= >';

CREATE OPERATOR CLASS int4_ops DEFAULT FOR TYPE integer USING omenhnsw FAMILY integer_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 btint4cmp(integer, integer);
COMMENT ON OPERATOR CLASS int4_ops USING omenhnsw IS 'integer as an attribute, operators < <= = >= >';

CREATE OPERATOR CLASS int8_ops DEFAULT FOR TYPE bigint USING omenhnsw FAMILY integer_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 btint8cmp(bigint, bigint);
COMMENT ON OPERATOR CLASS int8_ops USING omenhnsw IS 'bigint as an attribute, operators < <= = >= >';

ALTER OPERATOR FAMILY integer_ops USING omenhnsw ADD
	OPERATOR 3 < (smallint, integer), OPERATOR 4 <= (smallint, integer), OPERATOR 5 = (smallint, integer),
	OPERATOR 6 >= (smallint, integer), OPERATOR 7 > (smallint, integer),
	FUNCTION 2 (smallint, integer) btint24cmp(smallint, integer),
	OPERATOR 3 < (smallint, bigint), OPERATOR 4 <= (smallint, bigint), OPERATOR 5 = (smallint, bigint),
	OPERATOR 6 >= (smallint, bigint), OPERATOR 7 > (smallint, bigint),
	FUNCTION 2 (smallint, bigint) btint28cmp(smallint, bigint),
	OPERATOR 3 < (integer, smallint), OPERATOR 4 <= (integer, smallint), OPERATOR 5 = (integer, smallint),
	OPERATOR 6 >= (integer, smallint), OPERATOR 7 > (integer, smallint),
	FUNCTION 2 (integer, smallint) btint42cmp(integer, smallint),
	OPERATOR 3 < (integer, bigint), OPERATOR 4 <= (integer, bigint), OPERATOR 5 = (integer, bigint),
	OPERATOR 6 >= (integer, bigint), OPERATOR 7 > (integer, bigint),
	FUNCTION 2 (integer, bigint) btint48cmp(integer, bigint),
	OPERATOR 3 < (bigint, smallint), OPERATOR 4 <= (bigint, smallint), OPERATOR 5 = (bigint, smallint),
	OPERATOR 6 >= (bigint, smallint), OPERATOR 7 > (bigint, smallint),
	FUNCTION 2 (bigint, smallint) btint82cmp(bigint, smallint),
	OPERATOR 3 < (bigint, integer), OPERATOR 4 <= (bigint, integer), OPERATOR 5 = (bigint, integer),
	OPERATOR 6 >= (bigint, integer), OPERATOR 7 > (bigint, integer),
	FUNCTION 2 (bigint, integer) btint84cmp(bigint, integer);

CREATE OPERATOR FAMILY float_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY float_ops USING omenhnsw IS 'attributes: real and double precision';

CREATE OPERATOR CLASS float4_ops DEFAULT FOR TYPE real USING omenhnsw FAMILY float_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 btfloat4cmp(real, real);
COMMENT ON OPERATOR CLASS float4_ops USING omenhnsw IS 'real as an attribute, operators < <= = >= >';

CREATE OPERATOR CLASS float8_ops DEFAULT FOR TYPE double precision USING omenhnsw FAMILY float_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 btfloat8cmp(double precision, double precision);
COMMENT ON OPERATOR CLASS float8_ops USING omenhnsw IS 'double precision as an attribute, operators < <= = >= >';

ALTER OPERATOR FAMILY float_ops USING omenhnsw ADD
	OPERATOR 3 < (real, double precision), OPERATOR 4 <= (real, double precision), OPERATOR 5 = (real, double precision),
	OPERATOR 6 >= (real, double precision), OPERATOR 7 > (real, double precision),
	FUNCTION 2 (real, double precision) btfloat48cmp(real, double precision),
	OPERATOR 3 < (double precision, real), OPERATOR 4 <= (double precision, real), OPERATOR 5 = (double precision, real),
	OPERATOR 6 >= (double precision, real), OPERATOR 7 > (double precision, real),
	FUNCTION 2 (double precision, real) btfloat84cmp(double precision, real);

CREATE OPERATOR FAMILY numeric_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY numeric_ops USING omenhnsw IS 'attributes: numeric';

CREATE OPERATOR CLASS numeric_ops DEFAULT FOR TYPE numeric USING omenhnsw FAMILY numeric_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 numeric_cmp(numeric, numeric);
COMMENT ON OPERATOR CLASS numeric_ops USING omenhnsw IS 'numeric as an attribute, operators < <= = >= >';

-- Dates and times: date, timestamp and timestamptz compare with each other.

CREATE OPERATOR FAMILY datetime_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY datetime_ops USING omenhnsw IS 'attributes: date, timestamp and timestamptz';

CREATE OPERATOR CLASS date_ops DEFAULT FOR TYPE date USING omenhnsw FAMILY datetime_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 date_cmp(date, date);
COMMENT ON OPERATOR CLASS date_ops USING omenhnsw IS 'date as an attribute, operators < <= = >= >';

CREATE OPERATOR CLASS timestamp_ops DEFAULT FOR TYPE timestamp USING omenhnsw FAMILY datetime_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 timestamp_cmp(timestamp, timestamp);
COMMENT ON OPERATOR CLASS timestamp_ops USING omenhnsw IS 'timestamp as an attribute, operators < <= = >= >';

CREATE OPERATOR CLASS timestamptz_ops DEFAULT FOR TYPE timestamptz USING omenhnsw FAMILY datetime_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 timestamptz_cmp(timestamptz, timestamptz);
COMMENT ON OPERATOR CLASS timestamptz_ops USING omenhnsw IS 'timestamptz as an attribute, operators < <= = >= >';

ALTER OPERATOR FAMILY datetime_ops USING omenhnsw ADD
	OPERATOR 3 < (date, timestamp), OPERATOR 4 <= (date, timestamp), OPERATOR 5 = (date, timestamp),
	OPERATOR 6 >= (date, timestamp), OPERATOR 7 > (date, timestamp),
	FUNCTION 2 (date, timestamp) date_cmp_timestamp(date, timestamp),
	OPERATOR 3 < (date, timestamptz), OPERATOR 4 <= (date, timestamptz), OPERATOR 5 = (date, timestamptz),
	OPERATOR 6 >= (date, timestamptz), OPERATOR 7 > (date, timestamptz),
	FUNCTION 2 (date, timestamptz) date_cmp_timestamptz(date, timestamptz),
	OPERATOR 3 < (timestamp, date), OPERATOR 4 <= (timestamp, date), OPERATOR 5 = (timestamp, date),
	OPERATOR 6 >= (timestamp, date), OPERATOR 7 > (timestamp, date),
	FUNCTION 2 (timestamp, date) timestamp_cmp_date(timestamp, date),
	OPERATOR 3 < (timestamp, timestamptz), OPERATOR 4 <= (timestamp, timestamptz), OPERATOR 5 = (timestamp, timestamptz),
	OPERATOR 6 >= (timestamp, timestamptz), OPERATOR 7 > (timestamp, timestamptz),
	FUNCTION 2 (timestamp, timestamptz) timestamp_cmp_timestamptz(timestamp, timestamptz),
	OPERATOR 3 < (timestamptz, date), OPERATOR 4 <= (timestamptz, date), OPERATOR 5 = (timestamptz, date),
	OPERATOR 6 >= (timestamptz, date), OPERATOR 7 > (timestamptz, date),
	FUNCTION 2 (timestamptz, date) timestamptz_cmp_date(timestamptz, date),
	OPERATOR 3 < (timestamptz, timestamp), OPERATOR 4 <= (timestamptz, timestamp), OPERATOR 5 = (timestamptz, timestamp),
	OPERATOR 6 >= (timestamptz, timestamp), OPERATOR 7 > (timestamptz, timestamp),
	FUNCTION 2 (timestamptz, timestamp) timestamptz_cmp_timestamp(timestamptz, timestamp);

CREATE OPERATOR FAMILY time_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY time_ops USING omenhnsw IS 'attributes: time';

CREATE OPERATOR CLASS time_ops DEFAULT FOR TYPE time USING omenhnsw FAMILY time_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 time_cmp(time, time);
COMMENT ON OPERATOR CLASS time_ops USING omenhnsw IS 'time as an attribute, operators < <= = >= >';

CREATE OPERATOR FAMILY timetz_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY timetz_ops USING omenhnsw IS 'attributes: timetz';

CREATE OPERATOR CLASS timetz_ops DEFAULT FOR TYPE timetz USING omenhnsw FAMILY timetz_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 timetz_cmp(timetz, timetz);
COMMENT ON OPERATOR CLASS timetz_ops USING omenhnsw IS 'timetz as an attribute, operators < <= = >= >';

CREATE OPERATOR FAMILY interval_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY interval_ops USING omenhnsw IS 'attributes: interval';

CREATE OPERATOR CLASS interval_ops DEFAULT FOR TYPE interval USING omenhnsw FAMILY interval_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 interval_cmp(interval, interval);
COMMENT ON OPERATOR CLASS interval_ops USING omenhnsw IS 'interval as an attribute, operators < <= = >= >';

-- Text; varchar is indexed as text.

CREATE OPERATOR FAMILY text_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY text_ops USING omenhnsw IS 'attributes: text and varchar';

CREATE OPERATOR CLASS text_ops DEFAULT FOR TYPE text USING omenhnsw FAMILY text_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	OPERATOR 8 ^@, OPERATOR 9 ~~, OPERATOR 10 ~~*, OPERATOR 11 ~, OPERATOR 12 ~*,
	FUNCTION 2 bttextcmp(text, text);
COMMENT ON OPERATOR CLASS text_ops USING omenhnsw IS 'text and varchar as an attribute, operators < <= = >= > ^@ ~~ ~~* ~ ~*';

CREATE OPERATOR FAMILY bpchar_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY bpchar_ops USING omenhnsw IS 'attributes: char(n)';

CREATE OPERATOR CLASS bpchar_ops DEFAULT FOR TYPE character USING omenhnsw FAMILY bpchar_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 bpcharcmp(character, character);
COMMENT ON OPERATOR CLASS bpchar_ops USING omenhnsw IS 'char(n) as an attribute, operators < <= = >= >';

CREATE OPERATOR FAMILY char_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY char_ops USING omenhnsw IS 'attributes: "char"';

CREATE OPERATOR CLASS char_ops DEFAULT FOR TYPE "char" USING omenhnsw FAMILY char_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 btcharcmp("char", "char");
COMMENT ON OPERATOR CLASS char_ops USING omenhnsw IS '"char" as an attribute, operators < <= = >= >';

CREATE OPERATOR FAMILY bytea_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY bytea_ops USING omenhnsw IS 'attributes: bytea';

CREATE OPERATOR CLASS bytea_ops DEFAULT FOR TYPE bytea USING omenhnsw FAMILY bytea_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 byteacmp(bytea, bytea);
COMMENT ON OPERATOR CLASS bytea_ops USING omenhnsw IS 'bytea as an attribute, operators < <= = >= >';

-- Other types with an order.

CREATE OPERATOR FAMILY bool_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY bool_ops USING omenhnsw IS 'attributes: boolean';

CREATE OPERATOR CLASS bool_ops DEFAULT FOR TYPE boolean USING omenhnsw FAMILY bool_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 btboolcmp(boolean, boolean);
COMMENT ON OPERATOR CLASS bool_ops USING omenhnsw IS 'boolean as an attribute, operators < <= = >= >';

CREATE OPERATOR FAMILY oid_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY oid_ops USING omenhnsw IS 'attributes: oid';

CREATE OPERATOR CLASS oid_ops DEFAULT FOR TYPE oid USING omenhnsw FAMILY oid_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 btoidcmp(oid, oid);
COMMENT ON OPERATOR CLASS oid_ops USING omenhnsw IS 'oid as an attribute, operators < <= = >= >';

CREATE OPERATOR FAMILY uuid_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY uuid_ops USING omenhnsw IS 'attributes: uuid';

CREATE OPERATOR CLASS uuid_ops DEFAULT FOR TYPE uuid USING omenhnsw FAMILY uuid_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 uuid_cmp(uuid, uuid);
COMMENT ON OPERATOR CLASS uuid_ops USING omenhnsw IS 'uuid as an attribute, operators < <= = >= >';

CREATE OPERATOR FAMILY enum_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY enum_ops USING omenhnsw IS 'attributes: enumeration types';

CREATE OPERATOR CLASS enum_ops DEFAULT FOR TYPE anyenum USING omenhnsw FAMILY enum_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	FUNCTION 2 enum_cmp(anyenum, anyenum);
COMMENT ON OPERATOR CLASS enum_ops USING omenhnsw IS 'enumeration types as an attribute, operators < <= = >= >';

CREATE OPERATOR FAMILY inet_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY inet_ops USING omenhnsw IS 'attributes: inet and cidr';

CREATE OPERATOR CLASS inet_ops DEFAULT FOR TYPE inet USING omenhnsw FAMILY inet_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	OPERATOR 10 &&, OPERATOR 11 >>=, OPERATOR 12 <<=,
	FUNCTION 2 network_cmp(inet, inet);
COMMENT ON OPERATOR CLASS inet_ops USING omenhnsw IS 'inet and cidr as an attribute, operators < <= = >= > && >>= <<=';

-- Values that contain others.

CREATE OPERATOR FAMILY array_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY array_ops USING omenhnsw IS 'attributes: arrays';

CREATE OPERATOR CLASS array_ops DEFAULT FOR TYPE anyarray USING omenhnsw FAMILY array_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	OPERATOR 10 &&, OPERATOR 11 @>, OPERATOR 12 <@,
	FUNCTION 2 btarraycmp(anyarray, anyarray);
COMMENT ON OPERATOR CLASS array_ops USING omenhnsw IS 'arrays as an attribute, operators < <= = >= > && @> <@';

CREATE OPERATOR FAMILY range_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY range_ops USING omenhnsw IS 'attributes: ranges';

CREATE OPERATOR CLASS range_ops DEFAULT FOR TYPE anyrange USING omenhnsw FAMILY range_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	OPERATOR 10 &&, OPERATOR 11 @>, OPERATOR 12 <@,
	OPERATOR 11 @> (anyrange, anyelement),
	FUNCTION 2 range_cmp(anyrange, anyrange);
COMMENT ON OPERATOR CLASS range_ops USING omenhnsw IS 'ranges as an attribute, operators < <= = >= > && @> <@';

CREATE OPERATOR FAMILY jsonb_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY jsonb_ops USING omenhnsw IS 'attributes: jsonb';

CREATE OPERATOR CLASS jsonb_ops DEFAULT FOR TYPE jsonb USING omenhnsw FAMILY jsonb_ops AS
	OPERATOR 3 <, OPERATOR 4 <=, OPERATOR 5 =, OPERATOR 6 >=, OPERATOR 7 >,
	OPERATOR 11 @>, OPERATOR 12 <@,
	OPERATOR 13 ? (jsonb, text),
	OPERATOR 14 ?| (jsonb, text[]),
	OPERATOR 15 ?& (jsonb, text[]),
	OPERATOR 13 @? (jsonb, jsonpath),
	OPERATOR 11 @@ (jsonb, jsonpath),
	FUNCTION 2 jsonb_cmp(jsonb, jsonb);
COMMENT ON OPERATOR CLASS jsonb_ops USING omenhnsw IS 'jsonb as an attribute, operators < <= = >= > @> <@ ? ?| ?& @? @@';

-- Points.  ~= allows for a tolerance, so it is no place in the order.

CREATE FUNCTION omenhnsw_point_cmp(point, point) RETURNS integer
	AS 'MODULE_PATHNAME', 'omen_filter_point_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION omenhnsw_point_cmp(point, point) IS 'support function of operator class point_ops';

CREATE OPERATOR FAMILY point_ops USING omenhnsw;
COMMENT ON OPERATOR FAMILY point_ops USING omenhnsw IS 'attributes: points in a plane';

CREATE OPERATOR CLASS point_ops DEFAULT FOR TYPE point USING omenhnsw FAMILY point_ops AS
	OPERATOR 12 ~=,
	OPERATOR 12 <@ (point, box),
	OPERATOR 12 <@ (point, circle),
	OPERATOR 12 <@ (point, polygon),
	FUNCTION 2 omenhnsw_point_cmp(point, point);
COMMENT ON OPERATOR CLASS point_ops USING omenhnsw IS 'point as an attribute, operators <@ ~=';
