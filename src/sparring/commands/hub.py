"""`sparring push` and `pull`."""

import argparse
import sys

from sparring.commands.arguments import Command

NAME = "of the model on the hub, like someone/digits"


def add(command: Command) -> None:
    push = command("push", run_push, "Upload a trained GAN and its model card to the Hugging Face hub.")
    push.add_argument("folder", metavar="RUN", help="a run's folder")
    push.add_argument("name", metavar="USER/NAME", help=NAME)
    push.add_argument("--private", action="store_true", help="for you alone, or your organisation")
    push.add_argument("--licence", metavar="ID", help="of the weights, as the hub calls it: apache-2.0, cc-by-4.0")
    push.add_argument("--data-licence", metavar="TEXT", help="of the data, or where it comes from: a line for the card")

    pull = command("pull", run_pull, "Download a GAN from the Hugging Face hub into a folder, and check it.")
    pull.add_argument("name", metavar="USER/NAME", help=NAME)
    pull.add_argument("--out", metavar="FOLDER", help="(default: runs/NAME)")


def run_push(arguments: argparse.Namespace) -> int:
    from sparring.publishing.push import push

    address = push(
        arguments.folder, arguments.name, private=arguments.private, licence=arguments.licence,
        data_licence=arguments.data_licence, log=lambda line: print(line, file=sys.stderr),
    )  # fmt: skip
    print(address)
    return 0


def run_pull(arguments: argparse.Namespace) -> int:
    from sparring.publishing.push import pull

    print(pull(arguments.name, arguments.out))
    return 0
