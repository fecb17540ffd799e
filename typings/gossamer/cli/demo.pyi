from node.cli.demo import *
