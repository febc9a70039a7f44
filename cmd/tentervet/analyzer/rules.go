package analyzer

import (
	"go/types"
	"maps"
)

// A rule is a kind of thing that workflow code may not do.
type rule struct {
	name    string
	problem string // follows what the code does: "time.Now gives another time on replay"
	instead string // empty if there is nothing but a step
}

var (
	clockRule       = &rule{"clock", "gives another time on replay", "use workflow.Now(ctx)"}
	timerRule       = &rule{"timer", "begins again on replay and holds up the worker", "use workflow.Sleep, workflow.OnTimer or workflow.WithTimeout"}
	randomRule      = &rule{"random", "gives another value on replay", "use workflow.Rand(ctx), or workflow.NewID(ctx) for an ID"}
	goroutineRule   = &rule{"goroutine", "is not executed in the same order on replay", "use workflow.Go(ctx, …)"}
	channelRule     = &rule{"channel", "depends on other goroutines and holds up the worker", "use a Future, a hook, or plain variables, which the branches of a run share without locks"}
	selectRule      = &rule{"select", "depends on other goroutines and holds up the worker", "use workflow.Select or workflow.First"}
	lockRule        = &rule{"lock", "waits for other goroutines and holds up the worker", "leave it out, since branches of a run need no locks, or move it into a step"}
	ioRule          = &rule{"io", "is executed again on each replay, maybe with another result", ""}
	environmentRule = &rule{"environment", "may give another value on replay", "take it from the input of the run, or return it from a step"}
	outputRule      = &rule{"output", "prints again on each replay", "use workflow.Logger(ctx)"}
	clientRule      = &rule{"client", "is executed again on each replay", "use Call or Go of the workflow for a child run, and a step for the rest"}
)

var rules = func() map[string]*rule {
	byName := map[string]*rule{}
	for _, r := range []*rule{
		clockRule, timerRule, randomRule, goroutineRule, channelRule, selectRule, lockRule, ioRule, environmentRule, outputRule, clientRule,
	} {
		byName[r.name] = r
	}
	return byName
}()

// hazardous has what breaks a rule: a function ("os.Getenv"), a method ("net/http.Client.Do"), a
// variable; with * all functions of a package or all methods of a type. The more exact one counts, and
// nil allows what * would not.
var hazardous = func() map[string]*rule {
	m := map[string]*rule{}
	for _, names := range []map[string]*rule{clocks, concurrency, values, files, network, output, clients} {
		maps.Copy(m, names)
	}
	return m
}()

var clocks = map[string]*rule{
	"time.Now":   clockRule,
	"time.Since": clockRule,
	"time.Until": clockRule,

	"time.Sleep":                timerRule,
	"time.After":                timerRule,
	"time.AfterFunc":            timerRule,
	"time.Tick":                 timerRule,
	"time.NewTicker":            timerRule,
	"time.NewTimer":             timerRule,
	"context.WithDeadline":      timerRule,
	"context.WithDeadlineCause": timerRule,
	"context.WithTimeout":       timerRule,
	"context.WithTimeoutCause":  timerRule,
}

var concurrency = map[string]*rule{
	"sync.Cond.Wait":      lockRule,
	"sync.Locker.Lock":    lockRule,
	"sync.Mutex.Lock":     lockRule,
	"sync.RWMutex.Lock":   lockRule,
	"sync.RWMutex.RLock":  lockRule,
	"sync.WaitGroup.Wait": lockRule,

	"golang.org/x/sync/errgroup.Group.Wait":        lockRule,
	"golang.org/x/sync/semaphore.Weighted.Acquire": lockRule,
	"golang.org/x/sync/singleflight.Group.Do":      lockRule,

	"context.AfterFunc": goroutineRule,
	"sync.WaitGroup.Go": goroutineRule,

	"golang.org/x/sync/errgroup.Group.Go":    goroutineRule,
	"golang.org/x/sync/errgroup.Group.TryGo": goroutineRule,
}

// Generators with a seed of the program's own give the same numbers on replay.
var values = map[string]*rule{
	"math/rand.*":             randomRule,
	"math/rand.New":           nil,
	"math/rand.NewSource":     nil,
	"math/rand.NewZipf":       nil,
	"math/rand/v2.*":          randomRule,
	"math/rand/v2.New":        nil,
	"math/rand/v2.NewPCG":     nil,
	"math/rand/v2.NewZipf":    nil,
	"math/rand/v2.NewChaCha8": nil,
	"crypto/rand.*":           randomRule,
	"crypto/rand.Reader":      randomRule,
	"hash/maphash.MakeSeed":   randomRule,

	"github.com/gofrs/uuid.NewV1":          randomRule,
	"github.com/gofrs/uuid.NewV4":          randomRule,
	"github.com/gofrs/uuid.NewV6":          randomRule,
	"github.com/gofrs/uuid.NewV7":          randomRule,
	"github.com/gofrs/uuid/v5.NewV1":       randomRule,
	"github.com/gofrs/uuid/v5.NewV4":       randomRule,
	"github.com/gofrs/uuid/v5.NewV6":       randomRule,
	"github.com/gofrs/uuid/v5.NewV7":       randomRule,
	"github.com/google/uuid.New":           randomRule,
	"github.com/google/uuid.NewRandom":     randomRule,
	"github.com/google/uuid.NewString":     randomRule,
	"github.com/google/uuid.NewUUID":       randomRule,
	"github.com/google/uuid.NewV6":         randomRule,
	"github.com/google/uuid.NewV7":         randomRule,
	"github.com/oklog/ulid/v2.Make":        randomRule,
	"github.com/oklog/ulid/v2.Now":         clockRule,
	"github.com/rs/xid.New":                randomRule,
	"github.com/segmentio/ksuid.New":       randomRule,
	"github.com/segmentio/ksuid.NewRandom": randomRule,
}

var files = map[string]*rule{
	"os.*":               ioRule,
	"os.DirFS":           nil,
	"os.Expand":          nil,
	"os.IsExist":         nil,
	"os.IsNotExist":      nil,
	"os.IsPathSeparator": nil,
	"os.IsPermission":    nil,
	"os.IsTimeout":       nil,
	"os.NewSyscallError": nil,
	"os.File.*":          ioRule,
	"os.Root.*":          ioRule,
	"os.Process.*":       ioRule,

	"os.Args":      environmentRule,
	"os.Clearenv":  environmentRule,
	"os.Environ":   environmentRule,
	"os.ExpandEnv": environmentRule,
	"os.Getenv":    environmentRule,
	"os.Getpid":    environmentRule,
	"os.Getwd":     environmentRule,
	"os.Hostname":  environmentRule,
	"os.LookupEnv": environmentRule,
	"os.Setenv":    environmentRule,
	"os.Unsetenv":  environmentRule,
	"os/user.*":    environmentRule,

	"flag.*":          environmentRule,
	"flag.NewFlagSet": nil,

	"runtime.GOMAXPROCS":   environmentRule,
	"runtime.NumCPU":       environmentRule,
	"runtime.NumGoroutine": environmentRule,

	"os/exec.Cmd.*":    ioRule,
	"os/exec.LookPath": ioRule,
	"os/signal.*":      ioRule,

	"io/fs.Glob":     ioRule,
	"io/fs.ReadDir":  ioRule,
	"io/fs.ReadFile": ioRule,
	"io/fs.Stat":     ioRule,
	"io/fs.WalkDir":  ioRule,
	"io/fs.FS.Open":  ioRule,
	"io/fs.File.*":   ioRule,

	"io/ioutil.ReadDir":   ioRule,
	"io/ioutil.ReadFile":  ioRule,
	"io/ioutil.TempDir":   ioRule,
	"io/ioutil.TempFile":  ioRule,
	"io/ioutil.WriteFile": ioRule,

	"path/filepath.Abs":          ioRule,
	"path/filepath.EvalSymlinks": ioRule,
	"path/filepath.Glob":         ioRule,
	"path/filepath.Walk":         ioRule,
	"path/filepath.WalkDir":      ioRule,
}

var network = map[string]*rule{
	"net.*":              ioRule,
	"net.CIDRMask":       nil,
	"net.IPv4":           nil,
	"net.IPv4Mask":       nil,
	"net.JoinHostPort":   nil,
	"net.ParseCIDR":      nil,
	"net.ParseIP":        nil,
	"net.ParseMAC":       nil,
	"net.SplitHostPort":  nil,
	"net.Conn.*":         ioRule,
	"net.Dialer.*":       ioRule,
	"net.Listener.*":     ioRule,
	"net.ListenConfig.*": ioRule,
	"net.Resolver.*":     ioRule,

	"net/http.Get":               ioRule,
	"net/http.Head":              ioRule,
	"net/http.ListenAndServe":    ioRule,
	"net/http.ListenAndServeTLS": ioRule,
	"net/http.Post":              ioRule,
	"net/http.PostForm":          ioRule,
	"net/http.Serve":             ioRule,
	"net/http.ServeTLS":          ioRule,
	"net/http.Client.*":          ioRule,
	"net/http.RoundTripper.*":    ioRule,
	"net/http.Server.*":          ioRule,
	"net/http.Transport.*":       ioRule,

	"net/rpc.Client.*": ioRule,
	"net/rpc.Dial":     ioRule,
	"net/rpc.DialHTTP": ioRule,

	"net/smtp.Client.*": ioRule,
	"net/smtp.Dial":     ioRule,
	"net/smtp.SendMail": ioRule,

	"crypto/tls.Dial":     ioRule,
	"crypto/tls.Conn.*":   ioRule,
	"crypto/tls.Dialer.*": ioRule,

	"database/sql.Open":   ioRule,
	"database/sql.OpenDB": ioRule,
	"database/sql.Conn.*": ioRule,
	"database/sql.DB.*":   ioRule,
	"database/sql.Row.*":  ioRule,
	"database/sql.Rows.*": ioRule,
	"database/sql.Stmt.*": ioRule,
	"database/sql.Tx.*":   ioRule,
}

// Methods of a slog.Logger are allowed: workflow.Logger returns one.
var output = map[string]*rule{
	"fmt.Print":   outputRule,
	"fmt.Printf":  outputRule,
	"fmt.Println": outputRule,
	"fmt.Scan":    ioRule,
	"fmt.Scanf":   ioRule,
	"fmt.Scanln":  ioRule,

	"log.*":        outputRule,
	"log.New":      nil,
	"log.Logger.*": outputRule,

	"log/slog.Debug":        outputRule,
	"log/slog.DebugContext": outputRule,
	"log/slog.Default":      outputRule,
	"log/slog.Error":        outputRule,
	"log/slog.ErrorContext": outputRule,
	"log/slog.Info":         outputRule,
	"log/slog.InfoContext":  outputRule,
	"log/slog.Log":          outputRule,
	"log/slog.LogAttrs":     outputRule,
	"log/slog.Warn":         outputRule,
	"log/slog.WarnContext":  outputRule,
	"log/slog.With":         outputRule,

	"os.Stderr": outputRule,
	"os.Stdin":  ioRule,
	"os.Stdout": outputRule,
}

// Clients act at once, and again on each replay.
var clients = map[string]*rule{
	workflowPath + ".Resume":          clientRule,
	workflowPath + ".Client.*":        clientRule,
	workflowPath + ".HookType.Resume": clientRule,
	workflowPath + ".Topic.Publish":   clientRule,
	workflowPath + ".CallType.Answer": clientRule,
	workflowPath + ".CallType.Call":   clientRule,
	workflowPath + ".Run.Cancel":      clientRule,
	workflowPath + ".Run.Fork":        clientRule,
	workflowPath + ".Run.Info":        clientRule,
	workflowPath + ".Run.Pause":       clientRule,
	workflowPath + ".Run.PlanFork":    clientRule,
	workflowPath + ".Run.Result":      clientRule,
	workflowPath + ".Run.Resume":      clientRule,
	workflowPath + ".Run.Retry":       clientRule,
	workflowPath + ".Run.Status":      clientRule,
	workflowPath + ".Run.Terminate":   clientRule,
	workflowPath + ".Run.Wake":        clientRule,
	workflowPath + ".Workflow.Pause":  clientRule,
	workflowPath + ".Workflow.Resume": clientRule,
	workflowPath + ".Workflow.Start":  clientRule,
}

// ruleFor returns the rule that a use of obj breaks, or nil.
func ruleFor(obj types.Object) *rule {
	if obj == nil || obj.Pkg() == nil {
		return nil
	}
	path := obj.Pkg().Path()
	switch obj := obj.(type) {
	case *types.Func:
		prefix := path
		if recv := receiver(obj); recv != "" {
			prefix += "." + recv
		} else if obj.Signature().Recv() != nil {
			return nil // of an interface without a name
		}
		if r, ok := hazardous[prefix+"."+obj.Name()]; ok {
			return r
		}
		return hazardous[prefix+".*"]
	case *types.Var:
		if obj.Parent() == obj.Pkg().Scope() {
			return hazardous[path+"."+obj.Name()]
		}
	}
	return nil
}
