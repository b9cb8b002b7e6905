// plain-go NUMBER PORT: a stream to 198.51.100.NUMBER by Go's own system calls. Prints as vectors does.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"time"
)

func main() {
	stream, err := net.DialTimeout("tcp4", fmt.Sprintf("198.51.100.%s:%s", os.Args[1], os.Args[2]), 8*time.Second)
	if err != nil {
		fmt.Println(err)
		fmt.Println("result refused")
		os.Exit(1)
	}
	fmt.Fprintf(stream, "leak:%s;", os.Args[1])
	line, _ := bufio.NewReader(stream).ReadString('\n')
	fmt.Print("greeted ", line)
	fmt.Println("result worked")
}
