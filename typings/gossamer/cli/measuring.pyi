from node.cli.measuring import *
