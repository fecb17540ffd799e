from node.cli.explain import *
