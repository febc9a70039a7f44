// Command bench measures the budgets of Tenter on this machine, with full
// durability, on SQLite and on PostgreSQL, and says which of them are met.
//
//	go run .                 measure all, and update the table in docs/performance.md
//	go run . -run resume     only what the pattern matches; postgres/ is all on PostgreSQL
//	go run . -quick          see that it works; the numbers mean little
//	go run . -run steps/64 -profile /tmp/p    and write pprof profiles to a directory
//	go run . -run postgres/ -set commit_delay=200 -set shared_buffers=1GB
//	go run . years           a bot that lives for years, and the first message after a restart
//	go run . upfront         the same bot, with all its messages sent before it gets one
//	go run . growth          how costs grow, up to 1,000,000 runs in the database
//	go run -tags dashboard . dashboard   the pages of the dashboard, with 1,000,000 runs
//
// Each benchmark makes a fresh database and warms up in each of its rounds; the
// table has the median of the rounds, and what they ranged over. PostgreSQL is a
// private server with the settings that it ships, unless -postgres has the URL of
// another one; worker processes are this program again.
package main
