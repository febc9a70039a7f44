package newcomers

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/tenter-dev/tenter/workflow"
)

type pipeline struct{ db *sql.DB }

func (p *pipeline) count(ctx context.Context, path string) (map[string]int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	words := map[string]int{}
	scanner := bufio.NewScanner(f)
	for scanner.Scan() && ctx.Err() == nil {
		for _, word := range strings.Fields(scanner.Text()) {
			words[strings.ToLower(word)]++
		}
	}
	return words, scanner.Err()
}

// run counts the words of files, each in a branch of its own.
func (p *pipeline) run(ctx workflow.Context, paths []string) (int, error) {
	var counts []func(workflow.Context) (map[string]int, error)
	for i, path := range paths {
		counts = append(counts, func(ctx workflow.Context) (map[string]int, error) {
			return workflow.Step(ctx, fmt.Sprint("count ", i), func(ctx context.Context) (map[string]int, error) {
				return p.count(ctx, path)
			})
		})
	}
	results, err := workflow.All(ctx, counts...)
	if err != nil {
		return 0, err
	}

	total := map[string]int{}
	for _, words := range results {
		for word, n := range words {
			total[word] += n
		}
	}
	words := slices.Sorted(maps.Keys(total))
	sort.SliceStable(words, func(i, j int) bool { return total[words[i]] > total[words[j]] })
	for _, word := range words[:min(10, len(words))] {
		n := total[word]
		err := workflow.Do(ctx, "store", func(ctx context.Context) error {
			_, err := p.db.ExecContext(ctx, "INSERT INTO words VALUES (?, ?)", word, n)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return len(total), nil
}
