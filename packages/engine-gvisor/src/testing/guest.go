// The PID 1 of the engine's own tests: does what SCRIPT in its environment says.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		run(os.Args[1], os.Args[2:])
		return
	}
	fmt.Println("ready", os.Getenv("MARK"))
	script := strings.Fields(os.Getenv("SCRIPT"))
	if len(script) == 0 {
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(24 * time.Hour)
	}
	run(script[0], script[1:])
}

func run(verb string, args []string) {
	number := 0
	if len(args) > 0 {
		number, _ = strconv.Atoi(args[0])
	}
	switch verb {
	case "exit":
		time.Sleep(100 * time.Millisecond)
		os.Exit(number)
	case "exit-now":
		os.Exit(number)
	case "kill":
		time.Sleep(100 * time.Millisecond)
		syscall.Kill(os.Getpid(), syscall.Signal(number))
		time.Sleep(time.Hour)
	case "hog":
		hog(number)
	case "child-hog":
		command := exec.Command("/proc/self/exe", "hog", args[0])
		fmt.Println("child", command.Run())
		time.Sleep(time.Hour)
	case "fork":
		time.Sleep(500 * time.Millisecond)
		for i := 0; i < number; i++ {
			command := exec.Command("/proc/self/exe", "sleep")
			if err := command.Start(); err != nil {
				fmt.Println("fork", i, err)
				break
			}
		}
		time.Sleep(time.Hour)
	case "sleep":
		time.Sleep(time.Hour)
	case "count":
		for i := 0; ; i++ {
			fmt.Println(i)
			time.Sleep(20 * time.Millisecond)
		}
	case "hold":
		go hog(number)
		run("count", nil)
	case "after":
		time.Sleep(time.Duration(number) * time.Millisecond)
		run(args[1], args[2:])
	case "exec":
		command := exec.Command(args[0], args[1:]...)
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		fmt.Println("exec", command.Run())
		time.Sleep(time.Hour)
	case "empty-tmp":
		entries, _ := os.ReadDir("/tmp")
		for _, entry := range entries {
			os.Remove("/tmp/" + entry.Name())
		}
		fmt.Println("emptied")
		time.Sleep(time.Hour)
	case "look":
		for _, path := range args {
			info, err := os.Stat(path)
			if err != nil {
				fmt.Println("look", err)
				continue
			}
			fmt.Println("look", path, info.Mode())
		}
		fmt.Println("write", os.WriteFile("/tmp/written", []byte("x"), 0o644))
		fmt.Println("done")
		time.Sleep(time.Hour)
	}
}

func hog(mib int) {
	var kept [][]byte
	for i := 0; i < mib; i++ {
		block := make([]byte, 1<<20)
		for j := 0; j < len(block); j += 4096 {
			block[j] = 1
		}
		copy(block[2048:], fmt.Sprintf("skerry-marks-this-very-%s-%d", "page", i))
		kept = append(kept, block)
	}
	fmt.Println("held", len(kept))
	time.Sleep(time.Hour)
}
