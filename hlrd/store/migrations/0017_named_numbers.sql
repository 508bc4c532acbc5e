-- Whether numbers of a range were ever bound otherwise than by a draw from a lease. If not, none of
-- the places that a new lease takes can be bound, and nobody need look.
ALTER TABLE number_range ADD COLUMN has_named boolean NOT NULL DEFAULT true;
ALTER TABLE number_range ALTER has_named SET DEFAULT false;
