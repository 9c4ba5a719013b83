DROP INDEX providers_short_text_idx;
DROP FUNCTION text_pieces;
