-- An index of trigrams knows nothing of a text of one letter or two, and would be read from end to end for it. So there is one
-- of the letters in lower case, and of the pairs of neighbours. Its collation is "C", which compares bytes: there is no order
-- to keep, and the database's own takes many times as long to say which of two comes first.
CREATE FUNCTION text_pieces(whole text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10000
RETURN (SELECT array_agg(letter) || array_agg(letter || next) FILTER (WHERE next IS NOT NULL)
    FROM string_to_array(lower(whole), NULL) AS split (letters), unnest(letters, letters[2:]) AS neighbours (letter, next));

CREATE INDEX providers_short_text_idx ON providers
    USING gin (text_pieces(display_name || ' ' || headline || ' ' || bio) COLLATE "C");

-- An index of an expression has no statistics of it before.
ANALYZE providers;
