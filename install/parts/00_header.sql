-- omenvec: vector types and the omenhnsw index access method.
-- Put together from install/parts by "make"; edit the parts.

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION omenvec" to load this file. \quit

