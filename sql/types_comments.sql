--
-- Every function, operator, type, cast and operator class of the extension has
-- a comment: the list of those without is empty.
--
SELECT pg_describe_object(d.classid, d.objid, 0) AS without_comment
FROM pg_depend AS d
    JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'omenvec' AND d.deptype = 'e'
    AND obj_description(d.objid, d.classid::regclass::name) IS NULL
    -- array types and operator families come by themselves
    AND d.classid <> 'pg_opfamily'::regclass
    AND NOT EXISTS (SELECT FROM pg_type AS t
                    WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid AND t.typelem <> 0)
ORDER BY 1;

-- Functions say what they are: nothing is left at a default by oversight.
SELECT p.oid::regprocedure AS not_parallel_safe
FROM pg_proc AS p
    JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'omenvec' AND p.proparallel <> 's' AND p.prokind <> 'p'
    AND (p.proname ~ '^(vector|halfvec|sparsevec|array_to_|l[12]_|inner_|cosine_|hamming_|jaccard_|binary_|subvector)')
ORDER BY 1;

-- No C symbol but ours.
SELECT p.oid::regprocedure AS function, p.prosrc AS foreign_symbol
FROM pg_proc AS p
    JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    JOIN pg_language AS l ON l.oid = p.prolang
WHERE e.extname = 'omenvec' AND l.lanname = 'c' AND p.prosrc !~ '^omen_'
ORDER BY 1;
