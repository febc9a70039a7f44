-- From here on functions are in functions/, and installed with each new number of the schema.

ALTER TABLE migrations ADD COLUMN oldest integer;  -- the lowest number whose binaries the schema serves; NULL: only its own
ALTER TABLE workers ADD COLUMN schema integer NOT NULL DEFAULT 0;  -- that the worker's binary knows; 0: one from before this
