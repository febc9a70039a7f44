// Package patroni gives tests a PostgreSQL that is highly available: three servers under Patroni
// with synchronous replication, and an etcd. All are private, as the servers of package pgtest are:
// on loopback, in a folder below /tmp, and gone with the test process.
//
// Between any two parties (servers, etcd, clients) is a [Network] of proxies, which can be
// partitioned, in one direction too. Servers can be killed, with their Patroni and without, and
// frozen.
//
// It takes Linux and the programs of PostgreSQL, Patroni and etcd (on Debian: apt-get install
// postgresql patroni python3-etcd etcd-server). Without them tests are skipped, unless the
// environment variable TENTER_REQUIRE_PATRONI is not empty, which make failover sets.
package patroni
