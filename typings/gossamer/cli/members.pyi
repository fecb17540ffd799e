from node.cli.members import *
