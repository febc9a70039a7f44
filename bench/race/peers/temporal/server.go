package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	_ "go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql" // the plugin
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
	"go.temporal.io/server/tools/sql"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenter-dev/tenter/bench/race/peer"
)

const (
	namespace = "race"
	unlimited = 1_000_000 // a second
)

// frontend is the name of the service that clients and workers talk to.
const frontend = string(primitives.FrontendService)

// startServer starts all four services of the server in this process.
func startServer(ctx context.Context, c peer.Config) error {
	persistence, err := persistenceOf(c)
	if err != nil {
		return err
	}
	services := map[string]config.Service{}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for _, name := range temporal.DefaultServices {
		port := c.Port
		if name != frontend {
			if port, err = peer.FreePort(ctx); err != nil {
				return err
			}
		}
		services[name] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: "127.0.0.1"}}
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(addressOf(port))
	}
	conf := &config.Config{
		Persistence: persistence,
		Services:    services,
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        "active",
			CurrentClusterName:       "active",
			ClusterInformation: map[string]cluster.ClusterInformation{
				"active": {Enabled: true, InitialFailoverVersion: 1, RPCAddress: addressOf(c.Port)},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		PublicClient:        config.PublicClient{HostPort: addressOf(c.Port)},
	}
	conf.Global.Membership = config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: "127.0.0.1"}
	conf.Archival.History.State = "disabled"
	conf.Archival.Visibility.State = "disabled"
	conf.NamespaceDefaults.Archival.History.State = "disabled"
	conf.NamespaceDefaults.Archival.Visibility.State = "disabled"

	srv, err := temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(log.NewNoopLogger()),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithDynamicConfigClient(dynamicconfig.StaticClient{
			// No limit of requests is in the way: the defaults are for one namespace among many.
			dynamicconfig.FrontendRPS.Key():                        unlimited,
			dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key(): unlimited,
			dynamicconfig.HistoryRPS.Key():                         unlimited,
			dynamicconfig.MatchingRPS.Key():                        unlimited,
			dynamicconfig.FrontendPersistenceMaxQPS.Key():          unlimited,
			dynamicconfig.HistoryPersistenceMaxQPS.Key():           unlimited,
			dynamicconfig.MatchingPersistenceMaxQPS.Key():          unlimited,
			// By default each shard looks for tasks at most 20 times a second, so that with few
			// shards every hop of a run waits for up to 50 ms.
			dynamicconfig.TransferProcessorMaxPollRPS.Key():   unlimited,
			dynamicconfig.TimerProcessorMaxPollRPS.Key():      unlimited,
			dynamicconfig.VisibilityProcessorMaxPollRPS.Key(): unlimited,
		}),
	)
	if err != nil {
		return err
	}
	return srv.Start()
}

func addressOf(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// dial connects to the server when it is up and knows the namespace.
func dial(ctx context.Context, port int) (client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	options := client.Options{HostPort: addressOf(port), Namespace: namespace, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))}
	for {
		c, err := register(ctx, options)
		if err == nil {
			return c, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to the server: %w", err)
		}
	}
}

func register(ctx context.Context, options client.Options) (client.Client, error) {
	namespaces, err := client.NewNamespaceClient(options)
	if err != nil {
		return nil, err
	}
	defer namespaces.Close()
	if _, err := namespaces.Describe(ctx, namespace); err != nil {
		err := namespaces.Register(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace:                        namespace,
			WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
		})
		if err != nil {
			return nil, err
		}
	}
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, err
	}
	// The services learn of a namespace some seconds later.
	if _, err := c.DescribeTaskQueue(ctx, taskQueue, 1); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// persistenceOf is what the server's own examples have: config/development-sqlite-file.yaml
// and config/development-postgres12.yaml.
func persistenceOf(c peer.Config) (config.Persistence, error) {
	if c.Store == "postgres" {
		return postgresPersistence(c)
	}
	store := config.DataStore{SQL: &config.SQL{
		PluginName:   sqlite.PluginName,
		DatabaseName: filepath.Join(c.Dir, "temporal.db"),
		ConnectAttributes: map[string]string{
			"mode": "rwc", "cache": "private", "setup": "true", "journal_mode": "wal", "synchronous": "2",
		},
		MaxConns: 1, MaxIdleConns: 1, MaxConnLifetime: time.Hour,
	}}
	return config.Persistence{
		DefaultStore: "store", VisibilityStore: "store", NumHistoryShards: 1,
		DataStores: map[string]config.DataStore{"store": store},
	}, nil
}

func postgresPersistence(c peer.Config) (config.Persistence, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return config.Persistence{}, err
	}
	name := u.Path[1:]
	password, _ := u.User.Password()
	for _, schema := range []string{"temporal", "visibility"} {
		tool := []string{
			"temporal-sql-tool", "--plugin", "postgres12", "--endpoint", u.Hostname(), "--port", u.Port(),
			"--user", u.User.Username(), "--password", password, "--database", name + "_" + schema,
		}
		for _, command := range [][]string{
			{"create-database", "--defaultdb", name},
			{"setup-schema", "--version", "0.0"},
			{"update-schema", "--schema-name", "postgresql/v12/" + schema},
		} {
			if err := sql.RunTool(append(tool[:len(tool):len(tool)], command...)); err != nil {
				return config.Persistence{}, fmt.Errorf("%s: %w", command[0], err)
			}
		}
	}
	store := func(schema string, conns int) config.DataStore {
		return config.DataStore{SQL: &config.SQL{
			PluginName: "postgres12", DatabaseName: name + "_" + schema, ConnectAddr: u.Host, ConnectProtocol: "tcp",
			User: u.User.Username(), Password: password,
			MaxConns: conns, MaxIdleConns: conns, MaxConnLifetime: time.Hour,
		}}
	}
	return config.Persistence{
		DefaultStore: "store", VisibilityStore: "visibility", NumHistoryShards: 4,
		DataStores: map[string]config.DataStore{"store": store("temporal", 20), "visibility": store("visibility", 2)},
	}, nil
}
