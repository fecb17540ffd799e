from node.cli.bench import *
