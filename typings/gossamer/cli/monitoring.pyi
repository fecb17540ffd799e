from node.cli.monitoring import *
