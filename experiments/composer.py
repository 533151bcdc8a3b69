"""Hydra's composition, with what many cells have in common done once.

The defaults lists, the merging and the overrides are Hydra's own (1.3). Left out is what configures
Hydra itself, half of every composition; and each file and each choice of groups is merged once,
where ``hydra.compose`` begins anew for every cell.
"""

import pickle
from collections.abc import Sequence
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.defaults_list import Overrides, create_defaults_list
from hydra._internal.utils import create_config_search_path
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf


class _Files(ConfigRepository):
    """Hydra's files, each read once.

    Hydra writes into what it is given. It is kept pickled: to unpickle costs a fifth of a deepcopy.
    """

    def __init__(self, search_path: Any) -> None:
        super().__init__(search_path)
        self._read: dict[str, bytes] = {}

    def load_config(self, config_path: str) -> Any:
        """A copy of a file's content; None if there is no such file."""
        if config_path not in self._read:
            self._read[config_path] = pickle.dumps(super().load_config(config_path))
        return pickle.loads(self._read[config_path])

    def __deepcopy__(self, memo: Any) -> "_Files":
        return self  # Hydra copies its repository before every composition


class Composer(ConfigLoaderImpl):
    """Composes configurations from one folder.

    Args:
        folder: absolute; the groups are its folders.
        root: stem of the file that everything begins with.
    """

    def __init__(self, folder: str, root: str) -> None:
        search_path = create_config_search_path(folder)
        super().__init__(search_path)
        self.repository = _Files(search_path)
        self._root = root
        self._merged: dict[tuple[str, ...], bytes] = {}

    def compose(self, words: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What ``hydra.compose`` gives, resolved and plain.

        Args:
            words: ``key=value``.

        Returns:
            The configuration, and the choice of every group.

        Raises:
            HydraException: if the words or files cannot be composed.
            OmegaConfBaseException: likewise.
        """
        version.setbase(None)
        setup_globals()  # resolvers: now, python_version
        parsed, files = self._parse_overrides_and_create_caching_repo(self._root, list(words))
        self.validate_sweep_overrides_legal(parsed, RunMode.RUN, from_shell=False)
        values = Overrides(files, parsed).config_overrides
        config, choices = self._defaults([word for word in parsed if word not in values], files)
        OmegaConf.set_struct(config, True)
        self._apply_overrides_to_config(values, config)
        OmegaConf.set_struct(config, False)
        plain: Any = OmegaConf.to_container(config, resolve=True)
        return plain, choices

    def _defaults(
        self, chosen: Sequence[Override], files: CachingConfigRepository
    ) -> tuple[DictConfig, dict[str, Any]]:
        """The merged files of a choice of groups, and the choice of every group."""
        key = tuple(str(word.input_line) for word in chosen)
        if key not in self._merged:
            found = create_defaults_list(
                files, self._root, list(chosen), prepend_hydra=False, skip_missing=False
            )
            merged = self._compose_config_from_defaults_list(found.defaults, files)
            self._merged[key] = pickle.dumps((merged, found.overrides.known_choices))
        config, choices = pickle.loads(self._merged[key])
        return config, dict(choices)
