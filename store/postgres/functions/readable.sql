-- For reading by hand: bytes as text where they are text.
CREATE OR REPLACE FUNCTION readable(data bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
	RETURN convert_from(data, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
	RETURN encode(data, 'escape');
END $$;
