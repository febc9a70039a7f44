package main

import "github.com/tenter-dev/tenter/inspect"

// list prints what the pages of a listing have, up to a limit, 0 for all: as JSON, one object a line,
// or as a table.
type list[T any] struct {
	limit int
	page  func(limit int) ([]T, error) // the next one; it is shorter if it is the last
	table table
	row   func(T) []cell
	none  string        // what is said instead of a table without rows
	more  func() string // how to see more
}

func (l *list[T]) print(a *app) error {
	more, err := pages(l.limit, func(limit int) (int, error) {
		items, err := l.page(limit)
		if err != nil {
			return 0, err
		}
		for _, item := range items {
			if !a.cli.JSON {
				l.table.add(l.row(item)...)
			} else if err := a.out.json(item); err != nil {
				return 0, err
			}
		}
		return len(items), nil
	})
	switch {
	case err != nil || a.cli.JSON:
		return err
	case len(l.table.rows) == 0:
		a.out.printf("%s\n", l.none)
		return nil
	}
	l.table.print(a.out, "")
	if more {
		a.out.printf("%s\n", a.out.in(dim, l.more()))
	}
	return nil
}

// listAll says how to list more, where nothing else continues a list.
func listAll() string { return "More: -n 0 lists all." }

// pages calls read with the size of the next page, until there are no more or the
// limit, 0 for none, is reached. It returns whether there may be more.
func pages(limit int, read func(limit int) (int, error)) (more bool, err error) {
	for left := limit; ; {
		page := inspect.MaxLimit
		if limit > 0 {
			page = min(page, left)
		}
		n, err := read(page)
		if err != nil || n < page {
			return false, err
		}
		if left -= n; limit > 0 && left <= 0 {
			return true, nil
		}
	}
}
