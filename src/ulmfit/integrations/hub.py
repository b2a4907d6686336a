"""Model folders on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from ulmfit.errors import DataError, FormatError
from ulmfit.inference.bundle import load_bundle

# The hub's own error is one of the library that asks it, whatever that is by now; so are those of a missing network.
_FAILED: tuple[type[Exception], ...] = (HfHubHTTPError.__mro__[1], HFValidationError, OSError)


def push_to_hub(
    folder: Path,
    repo_id: str,
    *,
    private: bool = False,
    token: str | bool | None = None,
    message: str = "A model of ulmfit",
    endpoint: str | None = None,
) -> str:
    """Upload a model folder, whole, with the models inside of it.

    Args:
        folder: a model folder; every file is compared with its manifest first.
        repo_id: "name/repository"; made if it does not exist.
        private: whether a new repository is private.
        token: of the account; None for that of `hf auth login`, False for none.
        message: of the commit.
        endpoint: address of the hub; None for the public one or HF_ENDPOINT.

    Returns:
        the address of the commit.

    Raises:
        FormatError: the folder is not a whole model folder.
        DataError: the hub refused, or could not be reached.
    """
    load_bundle(Path(folder))
    api = HfApi(endpoint=endpoint, token=token)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True, repo_type="model")
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=folder, commit_message=message, ignore_patterns=[".*", "*.training/*"]
        )
    except _FAILED as error:
        raise DataError(f"{folder} could not be uploaded to {repo_id}: {_first_line(error)}") from error
    return str(commit.commit_url)


def from_hub(
    repo_id: str,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: Path | None = None,
    endpoint: str | None = None,
) -> Path:
    """Download a model folder, or find it where it was downloaded before.

    Args:
        repo_id: "name/repository".
        revision: branch, tag or commit; the newest of the main branch if None. A commit is the same forever.
        token: as for `push_to_hub`.
        cache_dir: where to keep it; None for the hub's own cache.
        endpoint: as for `push_to_hub`.

    Returns:
        the folder, for `ulmfit.load` or `--base`.

    Raises:
        FormatError: what is there is not a whole model folder.
        DataError: no such repository, or it could not be reached.
    """
    try:
        found = Path(snapshot_download(repo_id, revision=revision, token=token, cache_dir=cache_dir, endpoint=endpoint))
    except _FAILED as error:
        raise DataError(f"{repo_id} could not be downloaded: {_first_line(error)}") from error
    try:
        load_bundle(found)
    except FormatError as error:
        raise FormatError(f"{repo_id} does not hold a model of ulmfit: {error}") from error
    return found


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
