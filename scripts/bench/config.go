package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

const configRuns = 50

// configuration prints how long it takes to read and print a configuration. The median wall time is told, and the mean CPU
// time, because the system counts that in steps that are longer than a run.
func configuration(o options) error {
	const path = "/etc/dovecot/dovecot.conf"
	if _, err := os.Stat(path); err != nil {
		fmt.Printf("configuration: none installed, not measured (%v)\n\n", err)
		return nil
	}
	runs := [][]string{{o.dovetail, "config", "-n", "-c", path}, {o.dovetail, "version"}}
	if doveconf, err := exec.LookPath("doveconf"); err == nil {
		runs = append(runs, []string{doveconf, "-n", "-c", path})
	}
	fmt.Printf("%s, %d runs\n%-41s %9s %9s\n", path, configRuns, "", "wall ms", "CPU ms")
	for _, args := range runs {
		c, err := repeated(args)
		if err != nil {
			return err
		}
		fmt.Printf("%-41s %9.2f %9.2f\n", label(args), ms(c.wall), ms(c.cpu))
	}
	fmt.Println()
	return nil
}

func repeated(args []string) (cost, error) {
	var sum cost
	var walls []time.Duration
	for range configRuns {
		c, err := ran(command(args[0], args[1:]...))
		if err != nil {
			return sum, err
		}
		sum.cpu += c.cpu / configRuns
		walls = append(walls, c.wall)
	}
	slices.Sort(walls)
	sum.wall = walls[len(walls)/2]
	return sum, nil
}

func label(args []string) string {
	switch args[1] {
	case "config":
		return "dovetail config -n"
	case "version":
		return "dovetail version"
	}
	return "doveconf -n"
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
