from node import *
