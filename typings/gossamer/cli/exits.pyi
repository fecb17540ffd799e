from node.cli.exits import *
