from node.cli.conflicts import *
