from node.integrations.problems import *
