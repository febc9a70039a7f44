package main

// A contender is an engine on a store.
type contender struct {
	name  string
	peer  string // its program: a folder below peers/
	store string // "sqlite", "postgres", or "" for what the engine brings along
	ours  bool

	module   string   // whose version is told
	settings string   // what differs from the engine's defaults, and defaults that matter
	promise  string   // what an acknowledged step means, and what else to know
	apart    string   // how one process starts runs that another executes
	server   *release // a server that is not a Go module
}

// contenders are in the order of the tables.
var contenders = []contender{
	{
		name: "Tenter, SQLite", peer: "tenter", store: "sqlite", ours: true,
		module:   "github.com/tenter-dev/tenter",
		settings: "defaults: WAL, `synchronous=FULL`",
		promise:  "on disk. Many runs share a commit.",
		apart:    tenterApart + "; each process notices the other's commits within 250 ms",
	},
	{
		name: "Tenter, PostgreSQL", peer: "tenter", store: "postgres", ours: true,
		module:   "github.com/tenter-dev/tenter",
		settings: "defaults: 12 connections",
		promise:  "on disk. Many runs share a commit. Any number of workers.",
		apart:    tenterApart,
	},
	{
		name: "DBOS, SQLite", peer: "dbos", store: "sqlite",
		module:   dbosModule,
		settings: "defaults: WAL, `synchronous=NORMAL`",
		promise: "**not on disk** until the next checkpoint: a power cut may take the last commits. " +
			"Its documentation has SQLite for development. `Recv` polls every second.",
		apart: dbosApart,
	},
	{
		name: "DBOS, PostgreSQL", peer: "dbos", store: "postgres",
		module:   dbosModule,
		settings: "defaults: 20 connections",
		promise:  "on disk. The caller's process executes the run; if it dies, another one has to be told to recover it.",
		apart:    dbosApart,
	},
	{
		name: "Temporal, SQLite", peer: "temporal", store: "sqlite",
		module:   temporalModule,
		settings: "the server's `development-sqlite-file.yaml`: WAL, `synchronous=FULL`, 1 shard; " + temporalSettings,
		promise: "on disk. Steps are activities, with timeouts and retries kept by the server, which workers anywhere may execute. " +
			"Server and worker are in one process here, and talk gRPC. Its documentation has SQLite for development.",
		apart: temporalApart,
	},
	{
		name: "Temporal, PostgreSQL", peer: "temporal", store: "postgres",
		module:   temporalModule,
		settings: "the server's `development-postgres12.yaml`: 20 + 2 connections, 4 shards; " + temporalSettings,
		promise:  "on disk. As above.",
		apart:    temporalApart,
	},
	{
		name: "go-workflows, SQLite", peer: "goworkflows", store: "sqlite",
		module:   "github.com/cschleiden/go-workflows",
		settings: "defaults: WAL, `synchronous=FULL` (SQLite's own default), one connection, 2 pollers every 200 ms",
		promise:  "on disk. Workers poll, and so does who waits for a result.",
		apart:    "the client opens the worker's file; both with `_txlock=immediate`, without which calls fail with `SQLITE_BUSY`",
	},
	{
		name: "Restate", peer: "restate",
		module:   "github.com/restatedev/sdk-go",
		settings: "defaults: one node, replicated loglet in RocksDB with its WAL synced, 24 partitions",
		promise: "on disk. Server and services are processes of their own, and talk HTTP/2. " +
			"Calls through the ingress wait for the result on the connection that starts the run.",
		apart:  "the client calls the ingress over HTTP; the services are in the other process, and the server is its child",
		server: &restateServer,
	},
}

const (
	tenterApart   = "the client is an engine without workflows"
	dbosApart     = "the client enqueues; the worker polls the queue every 10 ms, and the client each result every 50 ms (default: 1 s each)"
	temporalApart = "the client talks gRPC; server and worker share the other process"
)

const (
	dbosModule     = "github.com/dbos-inc/dbos-transact-golang"
	temporalModule = "go.temporal.io/server"

	temporalSettings = "limits of requests lifted, and `history.transferProcessorMaxPollRPS`: by default each shard looks for tasks " +
		"20 times a second at most, so each hop of a run waits for up to 50 ms; SDK with poller autoscaling, as its documentation recommends"
)

// restateServer comes as a package of npm.
var restateServer = release{
	npm:     "@restatedev/restate-server",
	version: "1.7.12",
	binary:  "node_modules/@restatedev/restate-server-*/bin/restate-server",
}
