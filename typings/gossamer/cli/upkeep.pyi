from node.cli.upkeep import *
