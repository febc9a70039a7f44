module example.com/shop

go 1.26.0

require (
	example.com/otherlib v0.0.0
	github.com/google/uuid v1.999.0 // above what Tenter requires
	github.com/tenter-dev/tenter v0.0.0-00010101000000-000000000000
)

// The real package workflow, so that no copy of it can fall behind.
replace github.com/tenter-dev/tenter => ../../../..

replace (
	example.com/otherlib => ./otherlib
	github.com/google/uuid => ./uuid
)
