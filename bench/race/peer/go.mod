module github.com/tenter-dev/tenter/bench/race/peer

go 1.26.0
