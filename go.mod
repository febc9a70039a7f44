module github.com/tenter-dev/tenter

go 1.26
