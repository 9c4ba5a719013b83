-- An index of trigrams knows nothing of a text of one letter or two, and would be read from end to end for it. So there is one
-- of the letters and of the pairs of neighbours, in lower case as ILIKE compares them. In the collation "C", which has
-- nothing to look up when two of a million are compared.
CREATE FUNCTION text_pieces(text text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000
RETURN (SELECT array_agg(letter) || array_agg(letter || next) FILTER (WHERE next IS NOT NULL)
    FROM string_to_array(lower(text), NULL) AS lower_case (letters), unnest(letters, letters[2:]) AS neighbours (letter, next));

CREATE INDEX providers_short_text_idx ON providers
    USING gin (text_pieces(display_name || ' ' || headline || ' ' || bio) COLLATE "C");
