/* The launcher's way of killing a tree, given pids that it has read: which of them it takes for its own. */
#include "../../../shim/launch/tree.c"

static pid_t start(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		for (;;)
			pause();
	}
	return pid;
}

int main(int argc, char **argv)
{
	int status;

	if (argc != 2 || !prepare_tree())
		return 2;
	found_max = TREE_MAX;
	is_killing = true;
	add((pid_t)atoi(argv[1]));
	printf("stranger: %u\n", found_count);
	pid_t child = start();

	add(child);
	printf("child: %u\n", found_count);
	waitpid(child, &status, 0);
	printf("killed: %d\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	found[0] = (pid_t)atoi(argv[1]);
	signal_found(SIGTERM);
	return 0;
}
