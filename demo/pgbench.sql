\set phrase random(0, 199)
SELECT name, summary FROM packages
ORDER BY embedding <=> (SELECT embedding FROM phrases WHERE id = :phrase) LIMIT 10;
