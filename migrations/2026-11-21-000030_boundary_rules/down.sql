DELETE FROM boundary_acknowledgements WHERE version = 1;
DELETE FROM boundary_policies WHERE version = 1;
