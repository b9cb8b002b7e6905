// A static program with a resolver and system calls of its own: six requests at a time, by name.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

func main() {
	var wait sync.WaitGroup
	for i := 0; i < 6; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			reply, err := http.Get(os.Args[1])
			if err != nil {
				fmt.Println(err)
				return
			}
			body, _ := io.ReadAll(reply.Body)
			fmt.Print(string(body))
		}()
	}
	wait.Wait()
}
